"""What a user can attach to a bug report: numbers and versions, and nothing that the home is called by or has asked."""

from dataclasses import asdict
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, version
import os
from pathlib import Path
import platform
import shutil
import sqlite3
from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .const import CONF_FILES, CONF_FOLDER, CONF_HUB, CONF_SERVER, CONF_SIGNATURE, DOMAIN
from .home_index import HomeIndex
from .index import StoreError
from .index_thread import database_path
from .model_loading import compute_options
from .query_statistics import RECENT
from .runtime import SemanticHome, SemanticHomeConfigEntry

# Where something lies, and with what key it is read; a signature is a long vector.
_REDACTED = {CONF_FILES, CONF_FOLDER, CONF_HUB, CONF_SERVER, CONF_SIGNATURE}
_PACKAGES = ("alembic", "numpy", "openvino", "SQLAlchemy", "tokenizers")


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: SemanticHomeConfigEntry) -> dict[str, Any]:
    """Tell how an entry is, also one that is not loaded."""
    loaded = hasattr(entry, "runtime_data")
    return {
        "entry": {
            "version": f"{entry.version}.{entry.minor_version}",
            "state": entry.state.value,
            "error": entry.error_reason_translation_key,
            "data": async_redact_data(entry.data, _REDACTED),
            "options": dict(entry.options),
        },
        "home": await _home(entry.runtime_data) if loaded else None,
        "compute": asdict(compute_options(entry.options)) | {"threads": compute_options(entry.options).thread_count},
        "machine": await hass.async_add_executor_job(_machine, database_path(hass)),
        "issues": _issues(hass),
    }


async def _home(home: SemanticHome) -> dict[str, Any]:
    status, progress, statistics = home.status, home.progress, home.statistics
    return {
        "state": home.state.value,
        "degraded": home.degraded,
        "status": asdict(status),
        "progress": asdict(progress) if progress else None,
        "models": [asdict(model) for model in home.models],
        "index": await _index(home),
        "questions_open": len(home.clarifications),
        "queries": {
            "today": statistics.today,
            f"decisions_of_last_{RECENT}": {decision.value: count for decision, count in statistics.decisions.items()},
            "p95_ms": statistics.p95_ms,
            "latencies_ms": [round(took_ms, 1) for took_ms in statistics.latencies],
        },
    }


async def _index(home: SemanticHome) -> dict[str, Any]:
    try:
        kinds = await home.index.async_ask(HomeIndex.kinds)
        generations = await home.index.async_ask(HomeIndex.generations)
    except StoreError as err:
        return {"error": type(err).__name__}
    return {
        "documents": kinds,
        "generations": [asdict(generation) | {"counts": asdict(counts)} for generation, counts in generations],
    }


def _machine(path: Path) -> dict[str, Any]:
    """Look at the machine and the files. Blocking."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "libc": "musl" if any("musl" in suffix for suffix in EXTENSION_SUFFIXES) else " ".join(platform.libc_ver()),
        "processors": os.process_cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {package: _version(package) for package in _PACKAGES},
        "free_bytes": shutil.disk_usage(path.parent).free,
        # By what follows the database's own name: its log, and what was put aside.
        "files": {
            file.name.removeprefix(path.name) or "database": file.stat().st_size
            for file in sorted(path.parent.glob(f"{path.name}*"))
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _issues(hass: HomeAssistant) -> list[dict[str, Any]]:
    """List what is reported, without the placeholders, in which paths and addresses stand."""
    issues = ir.async_get(hass).issues.values()
    return [
        {"id": issue.issue_id, "text": issue.translation_key, "created": issue.created.isoformat()}
        for issue in issues
        if issue.domain == DOMAIN and issue.active
    ]
