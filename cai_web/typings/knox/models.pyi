from typing import Any

AuthToken: Any
