# Runs the Homebrew formula that is its first argument with the program that is its second one, in the
# working folder: the part of Homebrew that the formula uses, apart from the build.
require "open3"
require "pathname"

class Formula
  class << self
    def facts = (@facts ||= {})

    %i[desc homepage url license head depends_on].each do |fact|
      define_method(fact) { |*values| facts[fact] = values }
    end

    def service(&block) = (@service = block)
    def test(&block) = (block ? @test = block : @test)
    def inherited(formula) = (@formula = formula)
    def formula = @formula
  end

  def bin = Pathname("bin")
  def man1 = Pathname("man1")
  def std_cargo_args = ["--locked"]
  def version = self.class.facts[:url].last[:tag].delete_prefix("v")

  def system(*words)
    return if words.first == "cargo"

    Kernel.system(*words.map(&:to_s), exception: true)
  end

  def generate_completions_from_executable(*words)
    %w[bash zsh fish].each { |shell| File.write(shell, shell_output([*words, shell].join(" "))) }
  end

  def shell_output(command)
    output, status = Open3.capture2(command)
    raise "#{command}: #{status}" unless status.success?

    output
  end

  def assert_match(expected, text)
    raise "#{expected.inspect} is not in #{text}" unless text.match?(Regexp.escape(expected))
  end
end

formula, program = ARGV
Dir.mkdir("bin")
File.symlink(program, "bin/mwaa-gateway")
load formula
built = Formula.formula.new
built.install
built.instance_eval(&Formula.formula.test)
