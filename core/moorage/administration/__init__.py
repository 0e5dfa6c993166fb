"""What operators see and change of the running server over HTTP: plugins, roles, logins."""
