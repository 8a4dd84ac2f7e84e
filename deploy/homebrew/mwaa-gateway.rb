# A formula for a tap of your own: Formula/mwaa-gateway.rb
class MwaaGateway < Formula
  desc "Use Amazon MWAA (managed Apache Airflow) through localhost, without tokens"
  homepage "https://github.com/OWNER/mwaa-gateway"
  url "https://github.com/OWNER/mwaa-gateway.git", tag: "v0.1.0"
  license "Apache-2.0"
  head "https://github.com/OWNER/mwaa-gateway.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"mwaa-gateway", "completions")
    system bin/"mwaa-gateway", "man", "--dir", man1
  end

  service do
    run [opt_bin/"mwaa-gateway", "serve"]
    keep_alive crashed: true
    error_log_path var/"log/mwaa-gateway.log"
  end

  test do
    assert_match "mwaa-gateway #{version}", shell_output("#{bin}/mwaa-gateway --version")
    assert_match "passes", shell_output("#{bin}/mwaa-gateway explain --airflow-version 3.0.6 'dags list'")
  end
end
