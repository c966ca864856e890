"""How long tests wait for a database that is there: one that is busy with others is no database that is away."""

DATABASE_PATIENCE = {
    "database_command_timeout_s": 30.0,
    "database_connect_timeout_s": 30.0,
    "database_acquire_timeout_s": 40.0,
}
