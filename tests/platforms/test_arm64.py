"""The program for Linux on arm64, static, as qemu runs it: the demo starts, and a command is answered."""

from programs import LAB, Program, curl, environment

BINARY = LAB / "platforms/aarch64-unknown-linux-gnu/debug/mwaa-gateway"
ARM64 = 183  # e_machine, elf(5)


def test_the_demo_runs_a_command(tmp_path):
    assert int.from_bytes(BINARY.read_bytes()[18:20], "little") == ARM64
    # with no library of arm64 to load
    qemu = ["qemu-aarch64-static", "-L", tmp_path]
    options = ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0", "--no-browser"]
    with Program([*qemu, BINARY, "demo", *options], environment(tmp_path), tmp_path) as demo:
        url, port = demo.line(r"^listening on (http://127\.0\.0\.1:(\d+))$").groups()
        demo.line(rf" http://demo\.localhost:{port}/ ")
        headers = ["Content-Type: text/plain", "Accept: text/plain"]
        listed = curl(f"{url}/aws_mwaa/cli", headers, "dags list")
        assert listed.status == 200, listed.text()
        assert "lab_hello" in listed.text()
        demo.stop()
        assert demo.wait() == 0
