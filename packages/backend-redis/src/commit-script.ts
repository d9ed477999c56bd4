import { entryFunctions } from "./entry-script.js";
import { leanCommits, leanScript, takeLean } from "./lean-script.js";
import { aboutFunction, firstRecordFunction, logEndFunctions, logFunctions } from "./log-script.js";
import { loneScript } from "./lone-script.js";
import { refuseNewer } from "./newer-script.js";
import { spanFunctions, unorderedEntries } from "./order-script.js";
import { plainScript } from "./plain-script.js";
import { usualRetention } from "./retention.js";

/** How long after a batch's time its answer is remembered, in ms. */
export const remembered = 60_000;

/**
 * The answer that is remembered, in Lua. Where it is of one commit and nothing was done since, only what the scope's state doesn't say of it is kept:
 * `h` stands for the head, before it is the time where the head doesn't tell it.
 */
export const answerFunction = `
local function whole(given, state)
  local time, outcome = string.match(given, '^(%d*)(%[?h.*)$')
  if not outcome then return given end
  local head, next_text = string.match(state, '^(%d+) ?%d* ?(%d*)')
  if time == '' then time = string.format('%.0f', math.floor(tonumber(head) / 1000)) end
  if next_text == '' then next_text = '0' end
  return '[' .. head .. ',' .. time .. ',' .. next_text .. ',[' .. string.gsub(outcome, 'h', head, 1) .. ']]'
end
`;

const readFunctions = `
local function take() at = at + 1; return ARGV[at] end
local function number() return tonumber(take()) end
${takeLean}
`;

/**
 * What a batch does to a scope, in Lua: the same as core's reducer, atomically on the server. Lua's `tostring` and `..` keep 14 digits of a
 * number, so numbers are formatted by hand: `%.0f` for revisions and instants, the shortest exact form for doubles.
 *
 * It takes the batches of several scopes, and the hash of each scope as a key, from whose name all its other keys follow: an empty script costs
 * more than a `SET`, and each argument a part of it. Functions are made at each run, so those that are not always needed are made where they are.
 */
export const commitScript = `
local call, fmt, match, sub, byte, json, max = redis.call, string.format, string.match, string.sub, string.byte, cjson.encode, math.max
local offset, own_prefix = tonumber(ARGV[1]), ARGV[2]
local function int(n)
  -- Formatting a large double takes a microsecond, two integers that fit 32 bits a third of it.
  if n >= 1e9 and n % 1 == 0 then return fmt('%d%09d', n / 1e9, n % 1e9) end
  return fmt('%.0f', n)
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + offset
local micros = time[1] * 1000000 + time[2] + offset * 1000
-- Where the clock is the server's own, its text is at hand.
local micros_text = offset == 0 and time[1] .. sub('00000' .. time[2], -6)
local now_text = micros_text and sub(micros_text, 1, -4) or int(now)
${aboutFunction}
${entryFunctions}
${logEndFunctions}
${loneScript}
local at = 2
${answerFunction}
-- When the memory of a writer may go, by the server's clock.
local function end_of(life) return tonumber(life) - math.floor(offset) + ${remembered} end
-- A scope that is written to all the time keeps this hash: those whose time is over leave it, looked for when there are twice as many as were left.
local function remember(W, name, text, last)
  if call('HSET', W, name, text) == 1 then
    local count = call('HLEN', W)
    if count > 64 and count > (tonumber(call('HGET', W, '"most')) or 0) then
      local all, gone = call('HGETALL', W), {}
      for i = 1, #all, 2 do
        local life = match(all[i + 1], '^%d+\\n(%d+)')
        if life and end_of(life) < now - offset then gone[#gone + 1] = all[i] end
      end
      for i = 1, #gone, 1000 do call('HDEL', W, unpack(gone, i, math.min(i + 999, #gone))) end
      call('HSET', W, '"most', 2 * (count - #gone))
    end
  end
  call('PEXPIREAT', W, int(end_of(last)))
end
-- What is remembered of the last writer leaves the scope's hash: another takes its place, or the hash goes.
local function bury(H, W, last_writer, life, state)
  local name, sequence, before = match(last_writer, '^(.*)\\n(%d+)\\n(%d+)$')
  local about, answer = unpack(call('HMGET', H, '"i', '"a'))
  remember(W, name, sequence .. '\\n' .. before .. '\\n' .. about .. '\\n' .. whole(answer, state), max(tonumber(before), tonumber(life)))
end
-- The usual retention is not written down.
local function keep_as(H, keep_text)
  if keep_text == '' then call('HDEL', H, '"k') else call('HSET', H, '"k', keep_text) end
end
-- Appends records to the log of changes; answers how many came since it was cut to what is kept, which is not done at each commit. How long the
-- batch lives, and the one before it, tells when the log is to get another end.
local function log(L, records, fresh, keep_text, is_same, life, life_before)
  if keep_text == '' then keep_text = '${usualRetention}' end
  local kept, age = match(keep_text, '^(%S+) (%S+)')
  kept, age = tonumber(kept), tonumber(age)
  local count = kept > 0 and #records > 0 and call('RPUSH', L, unpack(records))
  if count == #records or not is_same or is_later(life, life_before, age) then end_log(L, age) end
  local since = fresh + #records
  if #records == 0 or (since < 64 and since < kept and is_same) then return since end
${logFunctions}
  trim(L, kept, micros - age * 1000)
  return 0
end

local answers, last_at = {}, #ARGV
for i, key in ipairs(KEYS) do
-- In a cluster one key more is named than there are scopes.
if at == last_at then break end
local start, H, answer = at, key, nil
local tag, bucket, scope = match(H, '^(.-({%d+}:))e:(.*)$')
local L, W, channel = tag .. 'c:' .. scope, tag .. 'w:' .. scope, own_prefix .. bucket .. 'p:' .. scope
local way, count, size, sequence, life, floor, step, keep_text = match(ARGV[at + 1], '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
local writer, first = ARGV[at + 2], ARGV[at + 3]
count, size, floor, step = tonumber(count), tonumber(size), tonumber(floor), tonumber(step)
at = start + 2
local wanted, commits = { '"s', '"w', '"k', '"b' }, nil
if way == 'plain' then
  for i = 1, count do wanted[i + 4] = ARGV[start + i * 3 + 1] end
elseif way == 'lean' then
${readFunctions}
${leanCommits}
end
local found = call('HMGET', H, unpack(wanted))
local state, last_writer, kept_text, base_text = found[1], found[2], found[3] or '', found[4]
${refuseNewer("state")}
-- The last writer's sequence, time, first commit and answer stand with the scope's other fields, which Redis keeps compact as long as none has
-- more than 64 bytes; those of the writers before it have a key of their own.
local is_last = last_writer and byte(last_writer, #writer + 1) == 10 and sub(last_writer, 1, #writer) == writer
if count > 0 then
  local last, about, given
  if is_last then last = match(last_writer, '^%d+', #writer + 2)
  else
    local memory = call('HGET', W, writer)
    if memory then last, about, given = match(memory, '^(%d+)\\n%d+\\n(.-)\\n(.*)$') end
  end
  if last then
    local before, this = tonumber(last), tonumber(sequence)
    if this < before then answer = '["superseded",' .. now_text .. ']'
    elseif this == before then
      if is_last then
        about, given = unpack(call('HMGET', H, '"i', '"a'))
        given = whole(given, state)
      end
      answer = about == first and given or '["conflict",' .. now_text .. ']'
    end
  end
end
if not answer and now > tonumber(life) then answer = '["overdue",' .. now_text .. ']' end
local life_before = last_writer and match(last_writer, '%d+$')
local head_text, events_text, next_text, fresh, ordered
if state then head_text, events_text, next_text, fresh, ordered = match(state, '^(%d+) (%d+) (%d+) (%d+)(i?)$') end
local is_plain = head_text and (next_text == '0' or tonumber(next_text) > now)
${plainScript}
if not answer then
${readFunctions}
${logFunctions}
${spanFunctions}
${firstRecordFunction}
local O, X, V = tag .. 'o:' .. scope, tag .. 'x:' .. scope, tag .. 'f:' .. scope
local S, D, F = tag .. 'scopes', tag .. 'due', tag .. 'floor'
local function exact(n)
  if n == math.floor(n) and n > -2^53 and n < 2^53 then return int(n) end
  for digits = 15, 17 do
    local text = fmt('%.' .. digits .. 'g', n)
    if tonumber(text) == n then return text end
  end
end
local function parse(raw)
  if not raw then return nil end
  local revision, created, expires = facts_of(raw, base_text or state and match(state, '^%d+'))
  return { revision = revision, created = created, expires = expires, raw = raw }
end
local function text_of(entry)
  local raw = entry.raw
  local form = byte(raw)
  if form > 57 then return sub(raw, 2), '' end
  if form < 48 then return match(raw, '^%S+ (.*)$'), '' end
  if byte(raw, 17) == 32 then return sub(raw, 18), '' end
  local size, rest = match(raw, '^%d+ (%d+) (.*)$', 34)
  return sub(rest, size + 1), sub(rest, 1, size)
end
local function amount(given)
  if given == '' then return nil end
  if sub(given, 1, 1) == 'n' then return now + tonumber(sub(given, 2)) end
  return tonumber(given)
end
local function refused(why, index, key, entry)
  if entry then
    -- Who is told it does not know what it counts from.
    local text, metadata = text_of(entry)
    entry.raw = raw_of(entry.revision, entry.created, entry.expires, metadata, text)
  end
  return '["' .. why .. '",' .. index .. ',' .. (entry and '[' .. json(key) .. ',' .. json(entry.raw) .. ']' or 'null') .. ']'
end
local function sum_of(entry, m)
  local current = 0
  if entry then
    local text = text_of(entry)
    if not match(text, '^%-?%d') then return nil, 'type', entry end
    current = tonumber(text)
  end
  local base, least, most = amount(m.base), amount(m.min), amount(m.max)
  if base and base > current then current = base end
  local sum = current + m.by
  if sum ~= sum or sum == math.huge or sum == -math.huge or (least and sum < least) or (most and sum > most) then
    return nil, 'bound', entry
  end
  return sum
end
local function set_of(key, text, revision, created, expires, base)
  local change = '[' .. json(key) .. ',' .. json(text)
  if created == revision and expires == 0 then return change .. ']' end
  -- Many of one record are of the scope's first commit, which is named once.
  if created == base and expires == 0 then return change .. ',1]' end
  return change .. ',' .. int(created) .. ',' .. int(expires) .. ']'
end
local function record_of(revision, before, about, changes, events, events_before, base)
  local rest = ''
  if events or base then rest = ',[' .. (events or '') .. '],' .. int(events and events_before or 0) end
  if base then rest = rest .. ',' .. int(base) end
  return '[' .. int(revision) .. ',' .. int(before) .. ',' .. int(now) .. ',' .. about .. ',[' .. changes .. ']' .. rest .. ']'
end
${leanScript}
if not answer then
at = start + 2
-- An empty batch only sweeps: the scope keeps what it kept.
if count == 0 and state then keep_text = kept_text end
local keep = {}
for part in string.gmatch(keep_text == '' and '${usualRetention}' or keep_text, '%S+') do keep[#keep + 1] = tonumber(part) end
commits = {}
for i = 1, count do
  local commit = { about = about_of(take(), writer), conditions = {}, mutations = {} }
  if way == 'plain' then
    commit.metadata, commit.mutations[1] = '', { op = 'put', key = take(), ttl = -1, text = take() }
  elseif way == 'lean' then
    commit.metadata = take()
    local m, conditions = take_lean()
    commit.mutations[1] = m
    for j = 1, conditions do commit.conditions[j] = { key = take(), revision = number() } end
  else
    commit.metadata = take()
    for j = 1, number() do
      local kind = take()
      commit.conditions[j] = kind == 'k' and { key = take(), revision = number() }
        or { from = take(), to = take(), count = number(), sum = number() }
    end
    for j = 1, number() do
      local op, m = take(), nil
      if op == 'put' then m = { key = take(), ttl = number(), text = take() }
      elseif op == 'delete' then m = { key = take() }
      elseif op == 'touch' then m = { key = take(), ttl = number() }
      elseif op == 'slide' then m = { ttl = number() }
      elseif op == 'add' then m = { key = take(), by = number(), base = take(), min = take(), max = take(), ttl = number() }
      elseif op == 'emit' then m = { type = take(), text = take() }
      else m = { note = take() } end
      m.op = op
      commit.mutations[j] = m
    end
  end
  commits[i] = commit
end

-- The first revision alone, or with a \`y\` in the fourth place: the scope has had one commit, whose record is told by its entries.
local meta = { match(state or '0 0 0 0', '^(%d+) ?(%d*) ?(%d*) ?(y?%d*)(i?) ?(%d*) ?(%d*)$') }
local head, events_head, next_before, deadline = tonumber(meta[1]), tonumber(meta[2]) or 0, meta[3], tonumber(meta[6])
if next_before == '' then next_before = '0' end
if deadline == 0 then deadline = nil end
ordered, fresh = meta[5], tonumber(meta[4]) or 0
local is_young, born_at, first_text = byte(meta[4] == '' and 'y' or meta[4]) == 121, nil, nil
if is_young then born_at = tonumber((sub(meta[4], 2))) or math.floor(head / 1000) end
local about, given, told_about, seal = unpack(call('HMGET', H, '"i', '"a', '"r', '"seal'))
if meta[7] ~= '1' then seal = false end
local size = 0
if state then
  size = call('HLEN', H) - 4
  for _, field in ipairs({ found[3], base_text, told_about, seal }) do if field then size = size - 1 end end
end
local known, ended, records = head > 0 or seal, false, {}
if head == 0 then floor = math.max(floor, tonumber(call('GET', F)) or 0) end

local function get(key) return parse(call('HGET', H, key)) end
local function is_live(entry) return entry.expires == 0 or now < entry.expires end
local function live(key)
  local entry = get(key)
  if entry and is_live(entry) then return entry end
end
-- What the record of the first commit is told by is about to change: from now on it is kept.
local function unfold()
  if not is_young then return end
  is_young = false
  first_text = first_record(H, meta[1], int(born_at))
  base_text = meta[1]
end
local function order()
  call('DEL', O)
  local scores = {}
  for _, key in ipairs(call('HKEYS', H)) do
    if byte(key) ~= 34 then
      scores[#scores + 1] = 0
      scores[#scores + 1] = key
    end
    if #scores >= 2000 then
      call('ZADD', O, unpack(scores))
      scores = {}
    end
  end
  if #scores > 0 then call('ZADD', O, unpack(scores)) end
  ordered = 'i'
end
local function write(key, before, revision, created, expires, metadata, text, place)
  unfold()
  call('HSET', H, key, place and string.char(64 + place) .. text or raw_of(revision, created, expires, metadata, text, base_text))
  if not before then
    size = size + 1
    if ordered ~= '' then call('ZADD', O, 0, key) elseif size > ${unorderedEntries} then order() end
  end
  if expires > 0 then call('ZADD', X, int(expires), key)
  elseif before and before.expires > 0 then call('ZREM', X, key) end
end
local function remove(key)
  unfold()
  size = size - call('HDEL', H, key)
  if ordered ~= '' then call('ZREM', O, key) end
  call('ZREM', X, key)
end
local function within(from, to, visit)
  if ordered == '' then
    local found = span_of(H, from, to)
    for i = 2, #found, 2 do visit(parse(found[i])) end
    return
  end
  local stop, place = to == '' and '+' or '(' .. to, 0
  while true do
    local keys = call('ZRANGEBYLEX', O, '[' .. from, stop, 'LIMIT', place, 1000)
    if #keys == 0 then return end
    for i, raw in ipairs(call('HMGET', H, unpack(keys))) do visit(parse(raw)) end
    place = place + #keys
  end
end
local function earliest() return tonumber(call('ZRANGE', X, 0, 0, 'WITHSCORES')[2]) end
local function end_of_scope()
  local latest = deadline
  -- A lock has a deadline of its own.
  if call('ZCARD', X) > 0 then
    within('!/lock/', '!/lock0', function(entry) latest = math.max(latest, entry.expires) end)
  end
  return latest
end
local function advance() return math.max(math.max(head, floor) + step, micros) end

local function append(revision, about, changes, events, base)
  unfold()
  local facts = #events > 0
  local record = record_of(revision, head, about, table.concat(changes, ','), facts and table.concat(events, ','), events_head, base)
  head = revision
  if facts then events_head = revision end
  records[#records + 1] = { revision = revision, text = record, facts = facts }
end

local function sweep()
  local first = earliest()
  if not first or first > now then return end
  local due, seen = call('ZRANGEBYSCORE', X, '-inf', int(now), 'LIMIT', 0, 1000), {}
  for _, key in ipairs(due) do seen[key] = true end
  for _, commit in ipairs(commits) do
    for _, parts in ipairs({ commit.conditions, commit.mutations }) do
      for _, part in ipairs(parts) do
        if part.key and not seen[part.key] then
          local entry = get(part.key)
          if entry and not is_live(entry) then seen[part.key] = true; due[#due + 1] = part.key end
        end
      end
    end
  end
  local changes = {}
  for i, key in ipairs(due) do
    remove(key)
    changes[i] = '[' .. json(key) .. ',1]'
  end
  local revision = advance()
  append(revision, '"","expire-' .. int(revision) .. '",0,null', changes, {})
end

-- The scope goes; what is remembered of its writers stays.
local function forget()
  if last_writer then bury(H, W, last_writer, life, state) end
  last_writer, base_text, first_text, told_about, given = nil, nil, nil, nil, nil
  is_young, size, ordered, fresh = false, 0, '', 0
  call('DEL', H, O, X, L, V)
end

local function settle()
  if deadline and not seal and now >= deadline and now >= end_of_scope() then
    floor = math.max(floor, head)
    call('SET', F, int(math.max(tonumber(call('GET', F)) or 0, head)))
    forget()
    head, events_head, deadline, seal, records, ended, next_before = 0, 0, nil, false, {}, true, '0'
  end
  if not seal then sweep() end
end

local function judge(commit)
  local first = commit.mutations[1]
  if seal and not (first and first.op == 'seal') then return '["sealed",0,null,' .. seal .. ']' end
  for i, condition in ipairs(commit.conditions) do
    if condition.key then
      local entry = live(condition.key)
      if (entry and entry.revision or 0) ~= condition.revision then return refused('condition', i - 1, condition.key, entry) end
    else
      local found, sum = 0, 0
      within(condition.from, condition.to, function(entry)
        if is_live(entry) then
          found = found + 1
          sum = (sum + entry.revision % 2^52) % 2^52
        end
      end)
      if found ~= condition.count or sum ~= condition.sum then return refused('condition', i - 1) end
    end
  end
  local numbers, creates = {}, false
  for _, m in ipairs(commit.mutations) do
    if m.op == 'put' or m.op == 'add' or m.op == 'emit' then creates = true end
  end
  for i, m in ipairs(commit.mutations) do
    if m.op == 'touch' then
      if not live(m.key) then return refused('absent', i - 1) end
    elseif m.op == 'slide' then
      if head == 0 and not creates then return refused('absent', i - 1) end
    elseif m.op == 'add' then
      local sum, why, entry = sum_of(live(m.key), m)
      if why then return refused(why, i - 1, m.key, entry) end
      m.sum = exact(sum)
      numbers[#numbers + 1] = ',' .. m.sum
    end
  end
  return nil, numbers
end

-- Whether the entries of a scope's first commit can tell its record: then it is not kept beside them.
local function first_of_all(commit)
  local puts = 0
  if count > 1 or seal or keep[1] < 1 or commit.metadata ~= '' then return false end
  for _, m in ipairs(commit.mutations) do
    if m.op == 'put' and m.ttl < 0 then puts = puts + 1 elseif m.op ~= 'slide' then return false end
  end
  return puts > 0 and puts <= 62
end

local function apply(commit)
  local refusal, numbers = judge(commit)
  if refusal then return refusal end
  local revision, born, changes, events = advance(), head == 0, {}, {}
  local first = born and first_of_all(commit)
  local base = #commit.mutations > 1 and tonumber(base_text or is_young and meta[1] or nil)
  local named
  for _, m in ipairs(commit.mutations) do
    if m.op == 'put' or m.op == 'add' then
      local before = get(m.key)
      local created, expires = before and before.created or revision, 0
      if m.ttl >= 0 then expires = now + m.ttl elseif m.op == 'add' and before then expires = before.expires end
      local text = m.text or m.sum
      write(m.key, before, revision, created, expires, commit.metadata, text, first and #changes + 1)
      changes[#changes + 1] = set_of(m.key, text, revision, created, expires, base)
      if created == base and expires == 0 then named = base end
    elseif m.op == 'delete' then
      if call('HEXISTS', H, m.key) == 1 then
        remove(m.key)
        changes[#changes + 1] = '[' .. json(m.key) .. ',0]'
      end
    elseif m.op == 'touch' then
      local entry = get(m.key)
      if entry.expires > 0 and now + m.ttl > entry.expires then
        local text, metadata = text_of(entry)
        write(m.key, entry, entry.revision, entry.created, now + m.ttl, metadata, text)
      end
    elseif m.op == 'slide' then
      if born or deadline then deadline = math.max(deadline or 0, now + m.ttl) end
    elseif m.op == 'emit' then
      events[#events + 1] = '[' .. json(m.type) .. ',' .. json(m.text) .. ']'
    else
      seal = m.note ~= '' and m.note or false
    end
  end
  local found_numbers = table.concat(numbers) .. ']'
  if #changes == 0 and #events == 0 then return '[' .. int(head) .. ',0' .. found_numbers end
  append(revision, commit.about, changes, events, named)
  if first then is_young, born_at = true, now end
  return '[' .. int(revision) .. ',' .. #changes .. found_numbers
end

settle()
local outcomes = {}
for i, commit in ipairs(commits) do
  outcomes[i] = apply(commit)
  if commit.mutations[1] and commit.mutations[1].op == 'seal' then settle() end
end

local messages, next_deadline = {}, nil
if first_text then
  call('RPUSH', L, first_text)
  call('HSET', H, '"b', base_text)
  if told_about then call('HDEL', H, '"r') end
end
for i, record in ipairs(records) do
  messages[i] = record.text
  if keep[1] > 0 and not is_young then call('RPUSH', L, record.text) end
  if record.facts and keep[3] > 0 then call('RPUSH', V, record.text) end
end
if #records > 0 and not is_young then
  trim(L, keep[1], micros - keep[2] * 1000)
  if events_head > 0 then trim(V, keep[3], micros - keep[4] * 1000) end
end

if head == 0 and not seal then
  if known or ended or count == 0 then
    forget()
    call('ZREM', S, scope)
    call('ZREM', D, scope)
  end
else
  if not seal then
    next_deadline = earliest()
    if deadline then next_deadline = math.min(next_deadline or math.huge, end_of_scope()) end
  end
  next_text = next_deadline and int(next_deadline) or '0'
  call('ZADD', S, 0, scope)
  local over
  if not seal then
    if deadline then over = end_of_scope()
    elseif size == call('ZCARD', X) then
      over = tonumber(call('ZREVRANGE', X, 0, 0, 'WITHSCORES')[2]) or now
    end
    if over and not deadline and call('LLEN', V) > 0 then over = math.max(over, now + keep[4]) end
  end
  if over then over = math.max(over, tonumber(life), now + 1000) end
  if next_text ~= next_before or over or meta[6] ~= '' or count == 0 then
    -- Once Redis itself has let go of the scope, who sweeps finds it here, and takes it out of the bucket's indexes.
    local due = next_deadline or over and over + 1000
    if due then call('ZADD', D, int(due), scope) else call('ZREM', D, scope) end
  end
  -- The short ways are for a state of four parts.
  local more = (over or seal) and ' ' .. int(deadline or 0) .. ' ' .. (seal and '1' or '0') or ''
  local part = int(#records > 0 and 0 or fresh) .. ordered
  if is_young then part = 'y' .. (born_at == math.floor(head / 1000) and '' or int(born_at)) end
  local changed = int(head) .. ' ' .. int(events_head) .. ' ' .. next_text .. ' ' .. part .. more
  if is_young and next_text == '0' and part == 'y' and more == '' then changed = int(head) end
  if state and count == 0 and given and changed ~= state then call('HSET', H, '"a', whole(given, state)) end
  -- Another batch is remembered from now on; one that went with the scope is not its own.
  if count > 0 and is_young and last_writer and not told_about then
    call('HSET', H, '"r', about_of(about, match(last_writer, '^(.*)\\n%d+\\n%d+$')))
  end
  call('HSET', H, '"s', changed)
  if keep_text ~= '' or kept_text ~= '' then keep_as(H, keep_text) end
  if seal then call('HSET', H, '"seal', seal) else call('HDEL', H, '"seal') end
  for _, key in ipairs({ H, O, X, L, V }) do
    if over then call('PEXPIREAT', key, int(over - offset))
    elseif key == L then end_log(L, keep[2])
    else call('PERSIST', key) end
  end
end

answer = '[' .. int(head) .. ',' .. now_text .. ',' .. (next_deadline and int(next_deadline) or '0')
  .. ',[' .. table.concat(outcomes, ',') .. ']]'
if count > 0 then
  if head > 0 or seal then
    if last_writer and not is_last then bury(H, W, last_writer, life, state) end
    local told = answer
    if count == 1 and head > 0 then
      local outcome, same = string.gsub(outcomes[1], '^%[' .. int(head) .. ',', '[h,')
      if same == 1 then told = (now == math.floor(head / 1000) and '' or now_text) .. outcome end
    end
    call('HSET', H, '"w', writer .. '\\n' .. sequence .. '\\n' .. life, '"i', first, '"a', told)
  else
    remember(W, writer, sequence .. '\\n' .. life .. '\\n' .. first .. '\\n' .. answer, life)
  end
end
if ended then redis.pcall('PUBLISH', channel, 'wake') end
if #messages > 0 then redis.pcall('PUBLISH', channel, '[' .. table.concat(messages, ',') .. ']') end
end
end
answers[i], at = answer, start + size
end
return answers
`;
