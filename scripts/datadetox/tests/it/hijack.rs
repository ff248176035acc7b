//! Whoever may create functions and operators in a schema that the roles look into has none of them called: not the owner of
//! the source, nor an analyst in the warehouse.

use sqlx::ConnectOptions as _;

use crate::world::{World, execute};

/// In `public`, which the roles are made to look into first: functions and operators of the names, and with the very types,
/// that the pipeline's statements use, and tables of the names that they read. Each of them fails.
const HIJACK: &str = r#"
DO $$
DECLARE
    sort record;
BEGIN
    CREATE FUNCTION public.hijack() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'hijacked'; END $f$;
    -- Better matches than the server's own, wherever it is looked.
    EXECUTE 'CREATE FUNCTION public.json_build_array(text, bigint, bigint, "char", boolean, boolean) RETURNS json
             LANGUAGE sql AS ''SELECT public.hijack()::text::json''';
    EXECUTE 'CREATE FUNCTION public.json_build_object(text, name, text, text, text, text, text, boolean, text, boolean, text, boolean)
             RETURNS json LANGUAGE sql AS ''SELECT public.hijack()::text::json''';
    EXECUTE 'CREATE FUNCTION public.same(varchar, varchar) RETURNS boolean LANGUAGE sql AS ''SELECT public.hijack()''';
    EXECUTE 'CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.same)';
    -- Every function of the server's with a plain signature that a statement could mean.
    FOR sort IN
        SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS answer
          FROM pg_proc p
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
           AND p.proname IN ('format_type', 'md5', 'current_setting', 'has_schema_privilege', 'has_table_privilege',
                             'has_column_privilege', 'pg_has_role', 'row_security_active', 'pg_is_in_recovery', 'hashtext',
                             'pg_snapshot_xmin', 'pg_snapshot_xmax', 'pg_current_snapshot', 'pg_relation_filenode',
                             'pg_relation_size', 'pg_advisory_xact_lock', 'pg_stat_get_tuples_inserted', 'clock_timestamp',
                             'now', 'pg_backend_pid', 'current_database')
           AND 'anyelement'::regtype <> ALL (p.proargtypes::oid[]) AND 'internal'::regtype <> ALL (p.proargtypes::oid[])
    LOOP
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', sort.proname, sort.arguments,
                       sort.answer, 'BEGIN PERFORM public.hijack(); END');
    END LOOP;
    -- And the tables.
    CREATE TABLE public.pg_class (); CREATE TABLE public.pg_namespace (); CREATE TABLE public.pg_attribute ();
    CREATE TABLE public.pg_inherits (); CREATE TABLE public.pg_stat_activity (); CREATE TABLE public.pg_type ();
END $$
"#;

#[tokio::test]
async fn nothing_of_public_is_called_on_either_side() {
    let mut world = World::new().await;
    world.load().await;
    let postgres = world.stack.postgres.as_ref().expect("a private Postgres");
    for database in ["totesys", "warehouse"] {
        let mut server = postgres.superuser_options(database).connect().await.expect("it answers");
        execute(&mut server, HIJACK).await;
        for role in ["reader", "loader"] {
            execute(
                &mut server,
                &format!("ALTER ROLE {role} IN DATABASE {database} SET search_path = public, pg_catalog"),
            )
            .await;
        }
    }
    world
        .application("UPDATE public.staff SET first_name = first_name || 'x'; DELETE FROM public.payment WHERE false")
        .await;
    world.load().await;
    world.stop().await;
}
