"""Node programs with packages of npm, which are installed once into build-npm/ (POSTEL_NPM names another folder)."""
import fcntl
import json
import os
import subprocess
import threading

from lib.server import ROOT

FOLDER = os.environ.get("POSTEL_NPM", os.path.join(ROOT, "build-npm"))
PACKAGES = {"imapflow": "1.7.8", "node-pop3": "0.11.0", "nodemailer": "10.6.1", "smtp-server": "3.21.6"}


def install():
    """Installs what is not there in the version that is wanted."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [f"{name}@{version}" for name, version in PACKAGES.items() if installed(name) != version]
        if not missing:
            return
        with open(os.path.join(FOLDER, "package.json"), "w") as f:
            json.dump({"private": True, "dependencies": PACKAGES}, f)
        done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *missing], cwd=FOLDER,
                              capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr


def installed(name):
    try:
        with open(os.path.join(FOLDER, "node_modules", name, "package.json")) as f:
            return json.load(f)["version"]
    except OSError:
        return None


def _command(script, config):
    return (["node", os.path.join(ROOT, "tests", "clients", "node", script), json.dumps(config)],
            {**os.environ, "NODE_PATH": os.path.join(FOLDER, "node_modules")})


def run(script, config, timeout=60):
    """Runs tests/clients/node/SCRIPT with config; returns what it printed, as JSON."""
    words, env = _command(script, config)
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


class Running:
    """tests/clients/node/SCRIPT, which goes on until stop and prints a line of JSON now and then: `said`."""

    def __init__(self, script, config):
        words, env = _command(script, config)
        self.said = []
        self.process = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
