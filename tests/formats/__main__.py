import sys
from pathlib import Path

from .page import findings, page

Path(sys.argv[1]).write_text(page(findings()), "utf-8")
