"""Airflow's login behind the emulator, which is its identity provider.

The emulator asks for a session with one request and no cookies, `GET /login/` (Airflow 2) or
`GET /auth/login/` (Airflow 3), with the headers

    X-Emulator-User    user name; the user is created at the first login
    X-Emulator-Roles   comma-separated role names; they replace the user's roles at each sign-in
    X-Emulator-Secret  the content of the file `front-secret` of Airflow's home; else: 403

Works with the FAB provider 1.5 (Airflow 2.10), 2.4 (3.0) and 3.10 (3.3).
"""

import hmac
import os
from pathlib import Path

from airflow.providers.fab.auth_manager.security_manager.override import (
    FabAirflowSecurityManagerOverride,
)
from flask import abort, request
from flask_appbuilder.const import AUTH_REMOTE_USER

WTF_CSRF_ENABLED = True
WTF_CSRF_TIME_LIMIT = None
AUTH_TYPE = AUTH_REMOTE_USER
AUTH_REMOTE_USER_ENV_VAR = "HTTP_X_EMULATOR_USER"  # the WSGI name of the header
AUTH_USER_REGISTRATION = True
AUTH_USER_REGISTRATION_ROLE = "Public"


def from_the_emulator():
    """Whether the request carries the secret; without a secret nothing does."""
    try:
        secret = (Path(os.environ["AIRFLOW_HOME"]) / "front-secret").read_bytes().strip()
    except FileNotFoundError:
        return False
    claimed = request.headers.get("X-Emulator-Secret", "").encode()
    return bool(secret) and hmac.compare_digest(claimed, secret)


class EmulatorSecurityManager(FabAirflowSecurityManagerOverride):
    """Accepts the identity and the roles of a user only from the emulator."""

    # the FAB provider 2.4 has neither this property nor the method below; its view needs both
    auth_remote_user_env_var = property(lambda self: AUTH_REMOTE_USER_ENV_VAR)

    def auth_user_remote_user(self, username):
        if not from_the_emulator():
            abort(403)
        public = self.find_role("Public")
        user = self.find_user(username=username) or self.add_user(
            username=username,
            first_name=username,
            last_name="-",
            email=f"{username}@emulator.invalid",
            role=public,
        )
        if not user or not user.is_active:
            abort(403)
        names = request.headers.get("X-Emulator-Roles", "").split(",")
        roles = [self.find_role(name.strip()) for name in names if name.strip()]
        user.roles = [role for role in roles if role] or [public]
        self.update_user(user)
        if hasattr(self, "_rotate_session_id"):
            self._rotate_session_id()
        self.update_user_auth_stat(user)
        return user


SECURITY_MANAGER_CLASS = EmulatorSecurityManager
