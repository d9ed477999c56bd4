import { mostUnordered } from "./order-script.js";

/** Reads the commits of the short way, and what has to be looked at for them: the keys of their conditions, and their own. */
export const leanCommits = `
  commits = {}
  for i = 1, count do
    local commit = { about = take(), metadata = take() }
    commit.m, commit.conditions = take_lean()
    commit.at = at
    for j = 0, commit.conditions - 1 do wanted[#wanted + 1] = ARGV[at + j * 2 + 1] end
    at = at + commit.conditions * 2
    wanted[#wanted + 1] = commit.m.key
    commits[i] = commit
  end
`;

/** Reads what a commit of the short way does, and how many conditions follow. */
export const takeLean = `
local function take_lean()
  local op, ttl, conditions = match(take(), '^(%l+) (%S+) (%d+)$')
  local m = { op = op, key = take(), ttl = tonumber(ttl) }
  if op == 'put' then m.text = take()
  elseif op == 'add' then m.by, m.base, m.min, m.max = number(), take(), take(), take() end
  return m, tonumber(conditions)
end
`;

/**
 * The short way of a commit, in Lua: commits of one put, add, touch or delete each, on conditions of keys, in a scope that is there, open, without a
 * deadline of its own and with nothing due. Interpreted Lua is what a commit costs, so it does as few calls as it can. It must do as the long
 * way does: `reducer.test.ts` of this package runs both beside core's reducer. Whatever is not plain it leaves to the long way, untouched.
 */
export const leanScript = `
local function take_the_short_way()
  local known, risky, births = {}, 0, 0
  for i = 5, #wanted do known[wanted[i]] = found[i] end
  local size = call('HLEN', H)
  for _, commit in ipairs(commits) do
    local m = commit.m
    if not known[m.key] and (m.op == 'put' or m.op == 'add') then births = births + 1 end
    if m.op == 'delete' or (m.ttl >= 0 and m.op ~= 'touch') then
      local before = parse(known[m.key])
      if count > 1 or (before and before.expires == 0) then risky = risky + 1 end
    end
  end
  -- A scope that may grow beyond what needs no order is for the long way.
  if births > 0 and ordered == '' and size + births > ${mostUnordered} then return end
  -- With no lasting entry left, all keys of the scope get an end: so is that.
  if risky > 0 and size - 4 - (found[3] and 1 or 0) - (base_text and 1 or 0) <= call('ZCARD', X) + risky then return end

  local head, outcomes, records, next_at, look = tonumber(head_text), {}, {}, tonumber(next_text), false
  -- What is written of one commit goes into the same call as the scope's own fields.
  local fields = { '"s', '', '"w', '', '"i', first, '"a', '' }
  local function store(key, raw)
    known[key] = raw
    if count == 1 then fields[9], fields[10] = key, raw else call('HSET', H, key, raw) end
  end
  -- Notes that a key has another deadline, 0 for none. The earliest has to be looked for only where it was this key's.
  local function until_when(key, before, expires)
    if expires > 0 then
      call('ZADD', X, int(expires), key)
      if next_at == 0 or expires < next_at then next_at = expires end
    elseif before > 0 then call('ZREM', X, key) end
    if before > 0 and before <= next_at then look = true end
  end
  local function run(commit)
    for j = 0, commit.conditions - 1 do
      local key = ARGV[commit.at + j * 2 + 1]
      local raw = known[key]
      local entry = parse(raw)
      if (entry and entry.revision or 0) ~= tonumber(ARGV[commit.at + j * 2 + 2]) then
        return refused('condition', j, key, entry)
      end
    end
    local m = commit.m
    local op, key = m.op, m.key
    local before, change, numbers = parse(known[key]), nil, ''
    local revision = max(max(head, floor) + step, micros)
    if op == 'touch' then
      if not before then return refused('absent', 0) end
      local expires = now + m.ttl
      if before.expires > 0 and expires > before.expires then
        local text, metadata = text_of(before)
        store(key, raw_of(before.revision, before.created, expires, metadata, text, base_text))
        until_when(key, before.expires, expires)
      end
    elseif op == 'delete' then
      if before then
        known[key] = false
        call('HDEL', H, key)
        if ordered ~= '' then call('ZREM', O, key) end
        until_when(key, before.expires, 0)
        change = '[' .. json(key) .. ',0]'
      end
    else
      local text, created, expires = m.text, before and before.created or revision, 0
      if op == 'add' then
        local sum, why, entry = sum_of(before, m)
        if why then return refused(why, 0, key, entry) end
        text = exact(sum)
        numbers = ',' .. text
      end
      if m.ttl >= 0 then expires = now + m.ttl
      elseif op == 'add' and before then expires = before.expires end
      store(key, raw_of(revision, created, expires, commit.metadata, text, base_text))
      if not before and ordered ~= '' then call('ZADD', O, 0, key) end
      until_when(key, before and before.expires or 0, expires)
      change = set_of(key, text, revision, created, expires)
    end
    if not change then return '[' .. int(head) .. ',0' .. numbers .. ']' end
    records[#records + 1] = record_of(revision, head, about_of(commit.about, writer), change)
    head = revision
    return '[' .. int(revision) .. ',1' .. numbers .. ']'
  end
  for i, commit in ipairs(commits) do outcomes[i] = run(commit) end
  -- Not before: without memory Redis lets a script begin with a deletion, and with nothing that takes some.
  if last_writer and not is_last then bury(H, W, last_writer, life, state) end

  if look then next_at = tonumber(call('ZRANGE', X, 0, 0, 'WITHSCORES')[2] or 0) end
  local next_now = int(next_at)
  if next_now ~= next_text then
    if next_at > 0 then call('ZADD', D, next_now, scope) else call('ZREM', D, scope) end
  end
  answer = '[' .. int(head) .. ',' .. now_text .. ',' .. next_now .. ',[' .. table.concat(outcomes, ',') .. ']]'
  local since = log(L, records, fresh, keep_text, kept_text == keep_text, life, life_before)
  fields[2] = int(head) .. ' ' .. events_text .. ' ' .. next_now .. ' ' .. since .. ordered
  fields[4], fields[8] = writer .. '\\n' .. sequence .. '\\n' .. life, answer
  call('HSET', H, unpack(fields))
  if kept_text ~= keep_text then keep_as(H, keep_text) end
  if #records > 0 then redis.pcall('PUBLISH', channel, '[' .. table.concat(records, ',') .. ']') end
end
if way == 'lean' and is_plain then take_the_short_way() end
`;
