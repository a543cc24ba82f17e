"""Headless Chromium for tests that look at a page as a browser does; it needs no network."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_RESULT = re.compile(r'<pre id="result">(.*?)</pre>', re.DOTALL)


def evaluated(page: str, script: str, folder: Path, *, keep_policy: bool = False, width: int = 1200, dark: bool = False) -> Any:
    """What `script` gives (the body of an async function), run in the page after its own script.

    The page's content security policy is taken out of the copy, since it would stop the added script; with `keep_policy` the
    script is run by the browser before the policy is read. The page is told that its reader prefers dark colours, or light ones.
    """
    assert CHROMIUM is not None
    added = (
        "<script>addEventListener('load', async () => { let result; try { result = await (async () => {"
        + script.replace("</script", "<\\/script")
        + "})() } catch (error) { result = {error: String(error)} }"
        "document.body.innerHTML = ''; const made = document.createElement('pre'); made.id = 'result';"
        "made.textContent = JSON.stringify(result); document.body.append(made) })</script>"
    )
    copy = page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">{added}', 1)
    path = folder / "page.html"
    path.write_text(copy if keep_policy else _POLICY.sub("", copy), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    command += [f"--window-size={width},2000", "--virtual-time-budget=20000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = _RESULT.search(done.stdout)
    assert found is not None, done.stdout[-2000:]
    return json.loads(html.unescape(found[1]))
