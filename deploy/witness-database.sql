-- The table in which a PostgreSQL of another trust domain witnesses gateways' audit logs, and the role that gateways
-- connect with. Run once by the owner of that database, who should not be who runs the gateways:
--   psql -v password="'...'" -f witness-database.sql <database>
-- Then: MCP_GATEWAY_WITNESS_DATABASE_URL=postgres://mcp_gateway_witness:...@host/database

create table audit_checkpoints (
  log_id text collate "C" not null,
  size bigint not null,
  root text collate "C" not null,
  note text collate "C" not null,
  stored_at_ms bigint not null,
  constraint audit_checkpoints_key primary key (log_id, size)
);

create function audit_checkpoints_grows() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' then
    raise exception 'audit_checkpoints only grows: % is refused', tg_op;
  end if;
  if exists (select from audit_checkpoints where log_id = new.log_id and size >= new.size) then
    raise exception 'audit_checkpoints only grows: log % has a checkpoint of size % or more',
      new.log_id, new.size;
  end if;
  return new;
end $$;

create trigger audit_checkpoints_insert before insert on audit_checkpoints
  for each row execute function audit_checkpoints_grows();
create trigger audit_checkpoints_keep before update or delete or truncate on audit_checkpoints
  for each statement execute function audit_checkpoints_grows();

create role mcp_gateway_witness login password :password;
revoke all on audit_checkpoints from public;
grant select, insert on audit_checkpoints to mcp_gateway_witness;
