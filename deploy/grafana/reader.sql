-- The role by which Grafana reads the views about analyses, and nothing else: run it with the role that owns the tables,
-- once, and again after an upgrade that adds a view. Then give the role a password (`\password cqox_reader`).
-- It sees the reports of one tenant: that of the last line.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'cqox_reader') THEN
        CREATE ROLE cqox_reader LOGIN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO cqox_reader', current_schema());
    EXECUTE format('ALTER ROLE cqox_reader IN DATABASE %I SET search_path = %I', current_database(), current_schema());
END $$;
GRANT SELECT ON dashboard_analyses, dashboard_estimators, dashboard_gates, dashboard_assumptions, dashboard_refuters,
    dashboard_roles, dashboard_findings, dashboard_reuses TO cqox_reader;
-- The views read with the rights of who asks.
GRANT SELECT ON analysis_facts, analysis_items, analysis_reuses TO cqox_reader;
GRANT SELECT (tenant_id, analysis_id) ON annotations TO cqox_reader;
GRANT SELECT (tenant_id, dataset_id, name) ON datasets TO cqox_reader;
ALTER ROLE cqox_reader SET default_transaction_read_only = on;
ALTER ROLE cqox_reader SET statement_timeout = '30s';
ALTER ROLE cqox_reader SET cqox.tenant = 'default';
