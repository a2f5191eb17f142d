"""Where the demonstration gets Moodle from: a named tree, a download of the pinned release, or the stand-in."""
import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.request

# The one place that names the release; the Dockerfile takes the same address as a build argument.
RELEASE = "4.5.6"
URL = f"https://download.moodle.org/download.php/direct/stable405/moodle-{RELEASE}.tgz"
SHA256 = os.environ.get("MOODLE_SHA256", "")  # of that file, when you know it


def fetch(cache, say, url=URL, sha256=SHA256, connect_seconds=5, total_bytes=300 << 20):
    """The path of the unpacked release, or None when it cannot be had. Kept in `cache` for the next time."""
    tree = os.path.join(cache, f"moodle-{RELEASE}", "moodle")
    if os.path.exists(os.path.join(tree, "version.php")):
        say(f"Moodle {RELEASE} was downloaded before: {tree}")
        return tree
    os.makedirs(cache, exist_ok=True)
    work = tempfile.mkdtemp(prefix="download-", dir=cache)
    try:
        digest, got = hashlib.sha256(), 0
        with urllib.request.urlopen(url, timeout=connect_seconds) as source, open(os.path.join(work, "moodle.tgz"), "wb") as file:
            say(f"downloading Moodle {RELEASE} from {url}")
            while block := source.read(1 << 18):
                got += len(block)
                if got > total_bytes:
                    raise OSError("the file is larger than Moodle can be")
                digest.update(block)
                file.write(block)
        if sha256 and digest.hexdigest() != sha256:
            raise OSError(f"its SHA-256 is {digest.hexdigest()}, should be {sha256}")
        say("its checksum is right" if sha256 else f"its checksum was not checked (MOODLE_SHA256 is not set); it is {digest.hexdigest()}")
        with tarfile.open(os.path.join(work, "moodle.tgz")) as archive:
            archive.extractall(os.path.join(work, "tree"), filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(os.path.join(work, "tree"))
        shutil.rmtree(os.path.dirname(tree), ignore_errors=True)
        os.rename(os.path.join(work, "tree"), os.path.dirname(tree))
        return tree
    except (OSError, tarfile.TarError) as e:
        say(f"Moodle {RELEASE} cannot be downloaded here ({e})")
        return None
    finally:
        shutil.rmtree(work, ignore_errors=True)
