"""Cache: what headstart keeps on this machine because it may be wanted again.

    headstart cache info

Features of items are kept for good up to a limit, `$HEADSTART_CACHE_LIMIT`; weights of installed sources stay until
their files are removed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from headstart.core.cache import cache_dir
from headstart.features.store import FeatureStore


def cache_info() -> dict[str, Any]:
    """Where the cache is, how large it is, and every shelf of features, the last used first."""
    store = FeatureStore()
    shelves = store.info()
    return {
        "path": str(cache_dir()),
        "size_bytes": sum(file.stat().st_size for file in cache_dir().rglob("*") if file.is_file()),
        "features": {
            "path": str(store.folder),
            "limit_bytes": store.limit,
            "size_bytes": sum(shelf.size_bytes for shelf in shelves),
            "items": sum(shelf.rows for shelf in shelves),
            "shelves": [
                {
                    "name": shelf.name,
                    "items": shelf.rows,
                    "size_bytes": shelf.size_bytes,
                    "used": datetime.fromtimestamp(shelf.used, UTC).isoformat(timespec="seconds"),
                    "about": dict(shelf.about),
                }
                for shelf in shelves
            ],
        },
    }


def clear_cache() -> dict[str, Any]:
    """Remove all stored features, except those that another process is writing at this moment."""
    store = FeatureStore()
    freed = store.clear()
    return {"path": str(store.folder), "freed_bytes": freed, "left": len(store.info())}
