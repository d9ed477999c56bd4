create table if not exists `holdfast_scopes` (
  `id` bigint not null auto_increment primary key,
  `scope` varbinary(2200) not null unique,
  `head` bigint not null,
  `events_head` bigint not null,
  `floor` bigint not null,
  `time` double not null,
  `deadline` double,
  `ends_at` double,
  `due_at` double,
  `next_expiry` double,
  `seal` longtext character set utf8mb4 collate utf8mb4_bin,
  `keep_changes` bigint,
  `keep_changes_age` double,
  `keep_events` bigint,
  `keep_events_age` double,
  `changes_total` bigint not null,
  `changes_cut` bigint not null,
  `changes_oldest` double,
  `events_total` bigint not null,
  `events_cut` bigint not null,
  `events_oldest` double,
  `tidy_at` double,
  index `holdfast_scopes_due` (`due_at`),
  index `holdfast_scopes_tidy` (`tidy_at`)
);

create table if not exists `holdfast_entries` (
  `scope_id` bigint not null,
  `key` varbinary(2200) not null,
  `value` longtext character set utf8mb4 collate utf8mb4_bin not null,
  `revision` bigint not null,
  `created_revision` bigint not null,
  `expires_at` double,
  `metadata` longtext character set utf8mb4 collate utf8mb4_bin,
  constraint `holdfast_entries_key` primary key (`scope_id`, `key`),
  index `holdfast_entries_expiry` (`scope_id`, `expires_at`)
);

create table if not exists `holdfast_changes` (
  `scope_id` bigint not null,
  `revision` bigint not null,
  `previous` bigint not null,
  `previous_events` bigint not null,
  `time` double not null,
  `total` bigint not null,
  `records` longtext character set utf8mb4 collate utf8mb4_bin not null,
  constraint `holdfast_changes_key` primary key (`scope_id`, `revision`)
);

create table if not exists `holdfast_events` (
  `scope_id` bigint not null,
  `revision` bigint not null,
  `previous` bigint not null,
  `previous_events` bigint not null,
  `time` double not null,
  `total` bigint not null,
  `records` longtext character set utf8mb4 collate utf8mb4_bin not null,
  constraint `holdfast_events_key` primary key (`scope_id`, `revision`)
);

create table if not exists `holdfast_writers` (
  `scope_id` bigint not null,
  `writer` varbinary(2200) not null,
  `sequence` bigint not null,
  `first_id` longtext character set utf8mb4 collate utf8mb4_bin not null,
  `answer` longtext character set utf8mb4 collate utf8mb4_bin not null,
  `until` double not null,
  constraint `holdfast_writers_key` primary key (`scope_id`, `writer`)
);

create table if not exists `holdfast_migrations` (
  `name` varchar(255) not null primary key,
  `timestamp` varchar(255) not null
);

create table if not exists `holdfast_migrations_lock` (
  `id` varchar(255) not null primary key,
  `is_locked` integer default 0 not null
);

insert ignore into `holdfast_migrations_lock` (`id`, `is_locked`) values ('migration_lock', 0);

insert ignore into `holdfast_migrations` (`name`, `timestamp`) values ('2026-11-tables', '2026-11-tables');
