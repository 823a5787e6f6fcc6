"""What can be tested without a cluster: `python3 tests/cluster/harness/test_harness.py`."""

import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import application, archive, cache, process, settings  # noqa: E402


class InFolder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class ApplicationImage(InFolder):
    def assemble(self, name: str) -> Path:
        target = self.folder / name
        application.assemble("test:one", Path(sys.executable).resolve(), "/usr/bin/program", target)
        return target

    def test_same_inputs_give_the_same_bytes(self):
        self.assertEqual(self.assemble("a.tar").read_bytes(), self.assemble("b.tar").read_bytes())

    def test_carries_its_name(self):
        self.assertEqual(archive.tags(self.assemble("a.tar")), ["test:one"])

    def test_holds_the_program_its_libraries_and_a_user(self):
        with tarfile.open(self.assemble("a.tar")) as outer:
            layer = next(name for name in outer.getnames() if name.endswith("layer.tar"))
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                names = inner.getnames()
                self.assertTrue(inner.getmember("tmp").mode & 0o1000)
        self.assertIn("usr/bin/program", names)
        self.assertIn("etc/passwd", names)
        self.assertTrue(any("libc.so" in name for name in names), names)

    def test_a_missing_program_is_named(self):
        with self.assertRaisesRegex(process.Failure, "no program at"):
            application.assemble("t:1", self.folder / "absent", "/x", self.folder / "a.tar")


class CacheKey(InFolder):
    def test_follows_names_contents_and_modes(self):
        def key():
            return cache.digest(self.folder)

        (self.folder / "a").write_text("1")
        seen = [key()]
        for change in (lambda: (self.folder / "a").write_text("2"), lambda: (self.folder / "a").chmod(0o755),
                       lambda: (self.folder / "a").rename(self.folder / "b")):
            change()
            self.assertNotIn(key(), seen)
            seen.append(key())

    def test_does_not_run_inputs_together(self):
        self.assertNotEqual(cache.digest("ab", "c"), cache.digest("a", "bc"))


class Steps(InFolder):
    def setUp(self):
        super().setUp()
        patched = mock.patch.object(settings, "LOGS", self.folder)
        patched.start()
        self.addCleanup(patched.stop)

    def test_a_failure_shows_step_command_and_log(self):
        with self.assertRaises(process.Failure) as caught:
            process.run("test step", ["sh", "-c", "echo the reason; exit 3"])
        for part in ("test step", "echo the reason", "ended with 3", "    the reason"):
            self.assertIn(part, str(caught.exception))

    def test_a_command_that_does_not_end_is_stopped(self):
        with self.assertRaisesRegex(process.Failure, "did not end within"):
            process.run("test step", ["sleep", "5"], timeout=0.1)

    def test_waiting_ends_and_says_why(self):
        def probe():
            raise process.Failure("still dark")

        with self.assertRaisesRegex(process.Failure, "light: still dark"):
            process.wait_until("light", 0.05, probe, every_secs=0.01)


class Settings(unittest.TestCase):
    def test_kubernetes_is_pinned_with_its_staging_modules(self):
        version = settings.kubernetes_version()
        staging = "v0" + version.removeprefix("v1")
        text = (settings.SOURCE / "kubernetes" / "go.mod").read_text()
        replaced = [line.split()[-1] for line in text.splitlines() if " => k8s.io/" in line]
        self.assertTrue(replaced)
        self.assertEqual(set(replaced), {staging})


if __name__ == "__main__":
    unittest.main()
