create table if not exists "holdfast_scopes" (
  "id" integer primary key,
  "scope" text not null unique,
  "head" bigint not null,
  "events_head" bigint not null,
  "floor" bigint not null,
  "time" real not null,
  "deadline" real,
  "ends_at" real,
  "due_at" real,
  "next_expiry" real,
  "seal" text,
  "keep_changes" bigint,
  "keep_changes_age" real,
  "keep_events" bigint,
  "keep_events_age" real,
  "changes_total" bigint not null,
  "changes_cut" bigint not null,
  "changes_oldest" real,
  "events_total" bigint not null,
  "events_cut" bigint not null,
  "events_oldest" real,
  "tidy_at" real
);

create table if not exists "holdfast_entries" (
  "scope_id" bigint not null,
  "key" text not null,
  "value" text not null,
  "revision" bigint not null,
  "created_revision" bigint not null,
  "expires_at" real,
  "metadata" text,
  constraint "holdfast_entries_key" primary key ("scope_id", "key")
) without rowid;

create table if not exists "holdfast_changes" (
  "scope_id" bigint not null,
  "revision" bigint not null,
  "previous" bigint not null,
  "previous_events" bigint not null,
  "time" real not null,
  "total" bigint not null,
  "records" text not null,
  constraint "holdfast_changes_key" primary key ("scope_id", "revision")
) without rowid;

create table if not exists "holdfast_events" (
  "scope_id" bigint not null,
  "revision" bigint not null,
  "previous" bigint not null,
  "previous_events" bigint not null,
  "time" real not null,
  "total" bigint not null,
  "records" text not null,
  constraint "holdfast_events_key" primary key ("scope_id", "revision")
) without rowid;

create table if not exists "holdfast_writers" (
  "scope_id" bigint not null,
  "writer" text not null,
  "sequence" bigint not null,
  "first_id" text not null,
  "answer" text not null,
  "until" real not null,
  constraint "holdfast_writers_key" primary key ("scope_id", "writer")
) without rowid;

create index if not exists "holdfast_scopes_due" on "holdfast_scopes" ("due_at") where "due_at" is not null;

create index if not exists "holdfast_scopes_tidy" on "holdfast_scopes" ("tidy_at") where "tidy_at" is not null;

create index if not exists "holdfast_entries_expiry" on "holdfast_entries" ("scope_id", "expires_at") where "expires_at" is not null;

create table if not exists "holdfast_migrations" (
  "name" varchar(255) not null primary key,
  "timestamp" varchar(255) not null
);

create table if not exists "holdfast_migrations_lock" (
  "id" varchar(255) not null primary key,
  "is_locked" integer default 0 not null
);

insert into "holdfast_migrations_lock" ("id", "is_locked") values ('migration_lock', 0) on conflict do nothing;

insert into "holdfast_migrations" ("name", "timestamp") values ('2026-11-tables', '2026-11-tables') on conflict do nothing;
