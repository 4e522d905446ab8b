//! The files of the Python SDK that travel inside this program. A test compares the list with the repository.

use super::Files;

pub(super) const FILES: Files = sources![
    "guest-sdk/python/MIGRATION.md",
    "guest-sdk/python/README.md",
    "guest-sdk/python/pyproject.toml",
    "guest-sdk/python/src/krt_node/__init__.py",
    "guest-sdk/python/src/krt_node/_codec.py",
    "guest-sdk/python/src/krt_node/_fault.py",
    "guest-sdk/python/src/krt_node/_host.py",
    "guest-sdk/python/src/krt_node/_imports.py",
    "guest-sdk/python/src/krt_node/_lazy.py",
    "guest-sdk/python/src/krt_node/_logs.py",
    "guest-sdk/python/src/krt_node/_loop.py",
    "guest-sdk/python/src/krt_node/_reading.py",
    "guest-sdk/python/src/krt_node/_values.py",
    "guest-sdk/python/src/krt_node/_writing.py",
    "guest-sdk/python/src/krt_node/capability.py",
    "guest-sdk/python/src/krt_node/component.py",
    "guest-sdk/python/src/krt_node/context.py",
    "guest-sdk/python/src/krt_node/errors.py",
    "guest-sdk/python/src/krt_node/messages.py",
    "guest-sdk/python/src/krt_node/node.py",
    "guest-sdk/python/src/krt_node/py.typed",
    "guest-sdk/python/src/krt_node/testing/__init__.py",
    "guest-sdk/python/src/krt_node/testing/_database.py",
    "guest-sdk/python/src/krt_node/testing/_host.py",
    "guest-sdk/python/src/krt_node/testing/_outcome.py",
    "guest-sdk/python/template/main.py",
    "guest-sdk/python/template/pyproject.toml",
    "guest-sdk/python/template/test_main.py",
];
