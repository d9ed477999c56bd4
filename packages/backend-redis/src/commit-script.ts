import { leanScript } from "./lean-script.js";

/**
 * What a batch does to a scope, in Lua: the same as core's reducer, atomically on the server. Lua's `tostring` and `..` keep 14 digits of a
 * number, so numbers are formatted by hand: `%.0f` for revisions and instants, the shortest exact form for doubles.
 */
export const commitScript = `
local H, O, X, L, V, W, S, D, F = unpack(KEYS)
local call, fmt, match, sub, json = redis.call, string.format, string.match, string.sub, cjson.encode
local at = 0
local function take() at = at + 1; return ARGV[at] end
local function number() return tonumber(take()) end
local function int(n) return fmt('%.0f', n) end
local function exact(n)
  if n == math.floor(n) and n > -2^53 and n < 2^53 then return int(n) end
  for digits = 15, 17 do
    local text = fmt('%.' .. digits .. 'g', n)
    if tonumber(text) == n then return text end
  end
end

local time, offset = call('TIME'), number()
local now = time[1] * 1000 + math.floor(time[2] / 1000) + offset
local micros = time[1] * 1000000 + time[2] + offset * 1000
local scope, channel, writer = take(), take(), take()
local sequence, life, floor, step = number(), number(), number(), number()
local keep = { number(), number(), number(), number() }
local lean, count = take() == '1', number()

if count > 0 then
  local memory = call('HGET', W, writer)
  if memory then
    local last, size, rest = match(memory, '^(%d+) %d+ (%d+) (.*)$')
    if sequence < tonumber(last) then return '{"f":"superseded","n":' .. int(now) .. '}' end
    if sequence == tonumber(last) then
      if sub(rest, 1, size) == ARGV[at + 1] then return sub(rest, size + 1) end
      return '{"f":"conflict","n":' .. int(now) .. '}'
    end
  end
end
if now > life then return '{"f":"overdue","n":' .. int(now) .. '}' end
local meta = call('HMGET', H, '"head', '"events', '"deadline', '"seal', '"next', '"over')

local function parse(raw)
  if not raw then return nil end
  local revision, created, expires = match(raw, '^(%d+) (%d+) (%d+) ')
  return { revision = tonumber(revision), created = tonumber(created), expires = tonumber(expires), raw = raw }
end
local function text_of(raw)
  local size, rest = match(raw, '^%d+ %d+ %d+ (%d+) (.*)$')
  return sub(rest, size + 1), sub(rest, 1, size)
end
local function amount(given)
  if given == '' then return nil end
  if sub(given, 1, 1) == 'n' then return now + tonumber(sub(given, 2)) end
  return tonumber(given)
end
local function refused(why, index, key, entry)
  return '[0,"' .. why .. '",' .. index .. ',' .. (entry and '[' .. json(key) .. ',' .. json(entry.raw) .. ']' or 'null') .. ']'
end

local function sum_of(entry, m)
  local current = 0
  if entry then
    local text = text_of(entry.raw)
    if not match(text, '^%-?%d') then return nil, 'type', entry end
    current = tonumber(text)
  end
  local base, min, max = amount(m.base), amount(m.min), amount(m.max)
  if base and base > current then current = base end
  local sum = current + m.by
  if sum ~= sum or sum == math.huge or sum == -math.huge or (min and sum < min) or (max and sum > max) then
    return nil, 'bound', entry
  end
  return sum
end
local function record_of(revision, before, id, origin, metadata, quiet, changes, events, events_before)
  return '{"r":' .. int(revision) .. ',"p":' .. int(before) .. ',"i":' .. json(id) .. ',"t":' .. int(now)
    .. ',"o":' .. json(origin) .. ',"m":' .. (metadata == '' and 'null' or metadata) .. ',"q":' .. quiet
    .. ',"c":[' .. changes .. '],"e":[' .. events .. '],"v":' .. int(events_before) .. '}'
end
local function remember(id, answer)
  call('HSET', W, writer, int(sequence) .. ' ' .. int(life) .. ' ' .. #id .. ' ' .. id .. answer)
  call('PEXPIREAT', W, int(math.max(life, now) - offset + 60000))
end
${leanScript}
local commits = {}
for i = 1, count do
  local commit = { id = take(), origin = take(), metadata = take(), quiet = take(), conditions = {}, mutations = {} }
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
  commits[i] = commit
end

local head, events_head = tonumber(meta[1]) or 0, tonumber(meta[2]) or 0
local deadline, seal, next_before = tonumber(meta[3]), meta[4], meta[5]
local known, ended, records, gone = head > 0 or seal, false, {}, false
if head == 0 then floor = math.max(floor, tonumber(call('GET', F)) or 0) end

local function get(key) return parse(call('HGET', H, key)) end
local function is_live(entry) return entry.expires == 0 or now < entry.expires end
local function live(key)
  local entry = get(key)
  if entry and is_live(entry) then return entry end
end
local function write(key, before, revision, created, expires, metadata, text)
  call('HSET', H, key, int(revision) .. ' ' .. int(created) .. ' ' .. int(expires) .. ' ' .. #metadata .. ' ' .. metadata .. text)
  if not before then call('ZADD', O, 0, key) end
  if expires > 0 then call('ZADD', X, int(expires), key)
  elseif before and before.expires > 0 then call('ZREM', X, key) end
end
local function remove(key)
  call('HDEL', H, key)
  call('ZREM', O, key)
  call('ZREM', X, key)
end
local function within(from, to, visit)
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
  within('!/lock/', '!/lock0', function(entry) latest = math.max(latest, entry.expires) end)
  return latest
end
local function advance() return math.max(math.max(head, floor) + step, micros) end

local function append(revision, id, origin, metadata, quiet, changes, events)
  local record = record_of(revision, head, id, origin, metadata, quiet, table.concat(changes, ','), table.concat(events, ','), events_head)
  head = revision
  if #events > 0 then events_head = revision end
  records[#records + 1] = { revision = revision, text = record, facts = #events > 0 }
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
    changes[i] = '["x",' .. json(key) .. ']'
  end
  local revision = advance()
  append(revision, 'expire-' .. int(revision), '', '', '0', changes, {})
end

local function settle()
  if deadline and not seal and now >= deadline and now >= end_of_scope() then
    floor = math.max(floor, head)
    call('SET', F, int(math.max(tonumber(call('GET', F)) or 0, head)))
    call('DEL', H, O, X, L, V)
    head, events_head, deadline, seal, records, ended, next_before = 0, 0, nil, false, {}, true, false
  end
  if not seal then sweep() end
end

local function judge(commit)
  local first = commit.mutations[1]
  if seal and not (first and first.op == 'seal') then return '[0,"sealed",0,null,' .. seal .. ']' end
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
      numbers[#numbers + 1] = m.sum
    end
  end
  return nil, numbers
end

local function apply(commit)
  local refusal, numbers = judge(commit)
  if refusal then return refusal end
  local revision, born, changes, events = advance(), head == 0, {}, {}
  for _, m in ipairs(commit.mutations) do
    if m.op == 'put' or m.op == 'add' then
      local before = get(m.key)
      local created, expires = before and before.created or revision, 0
      if m.ttl >= 0 then expires = now + m.ttl elseif m.op == 'add' and before then expires = before.expires end
      local text = m.text or m.sum
      write(m.key, before, revision, created, expires, commit.metadata, text)
      changes[#changes + 1] = '["s",' .. json(m.key) .. ',' .. int(created) .. ',' .. int(expires) .. ',' .. json(text) .. ']'
    elseif m.op == 'delete' then
      if call('HEXISTS', H, m.key) == 1 then
        remove(m.key)
        changes[#changes + 1] = '["d",' .. json(m.key) .. ']'
      end
    elseif m.op == 'touch' then
      local entry = get(m.key)
      if entry.expires > 0 and now + m.ttl > entry.expires then
        local text, metadata = text_of(entry.raw)
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
  if #changes == 0 and #events == 0 then return '[1,' .. int(head) .. ',0,[' .. table.concat(numbers, ',') .. ']]' end
  append(revision, commit.id, commit.origin, commit.metadata, commit.quiet, changes, events)
  return '[1,' .. int(revision) .. ',' .. #changes .. ',[' .. table.concat(numbers, ',') .. ']]'
end

settle()
if count == 0 then
  local kept = call('HGET', H, '"keep')
  if kept then
    local i = 0
    for part in string.gmatch(kept, '%S+') do i = i + 1; keep[i] = tonumber(part) end
  end
end
local outcomes = {}
for i, commit in ipairs(commits) do
  outcomes[i] = apply(commit)
  if commit.mutations[1] and commit.mutations[1].op == 'seal' then settle() end
end

local messages, next_deadline = {}, nil
for i, record in ipairs(records) do
  messages[i] = record.text
  if keep[1] > 0 then call('ZADD', L, int(record.revision), record.text) end
  if record.facts and keep[3] > 0 then call('ZADD', V, int(record.revision), record.text) end
end
if #records > 0 then
  call('ZREMRANGEBYRANK', L, 0, -keep[1] - 1)
  call('ZREMRANGEBYSCORE', L, '-inf', '(' .. int(micros - keep[2] * 1000))
  if events_head > 0 then
    call('ZREMRANGEBYRANK', V, 0, -keep[3] - 1)
    call('ZREMRANGEBYSCORE', V, '-inf', '(' .. int(micros - keep[4] * 1000))
  end
end

if head == 0 and not seal then
  if known or ended then
    call('DEL', H, O, X, L, V)
    call('ZREM', S, scope)
    call('ZREM', D, scope)
  end
else
  if not seal then
    next_deadline = earliest()
    if deadline then next_deadline = math.min(next_deadline or math.huge, end_of_scope()) end
  end
  local next_text = next_deadline and int(next_deadline) or ''
  call('HSET', H, '"head', int(head), '"events', int(events_head), '"next', next_text,
    '"keep', int(keep[1]) .. ' ' .. int(keep[2]) .. ' ' .. int(keep[3]) .. ' ' .. int(keep[4]))
  if deadline then call('HSET', H, '"deadline', int(deadline)) end
  if seal then call('HSET', H, '"seal', seal) else call('HDEL', H, '"seal') end
  call('ZADD', S, 0, scope)
  if next_text ~= (next_before or '') then
    if next_deadline then call('ZADD', D, next_text, scope) else call('ZREM', D, scope) end
  end
  local over
  if not seal then
    if deadline then over = end_of_scope()
    elseif call('ZCARD', O) == call('ZCARD', X) then
      over = tonumber(call('ZREVRANGE', X, 0, 0, 'WITHSCORES')[2]) or now
    end
    if over and not deadline and call('ZCARD', V) > 0 then over = math.max(over, now + keep[4]) end
  end
  call('HSET', H, '"over', over and int(over) or '')
  for _, key in ipairs({ H, O, X, L, V }) do
    if over then call('PEXPIREAT', key, int(math.max(over, life, now + 1000) - offset))
    else call('PERSIST', key) end
  end
end

local answer = '{"h":' .. int(head) .. ',"n":' .. int(now) .. ',"x":' .. (next_deadline and int(next_deadline) or 'null')
  .. ',"o":[' .. table.concat(outcomes, ',') .. ']}'
if count > 0 then remember(commits[1].id, answer) end
if ended then redis.pcall('PUBLISH', channel, 'wake') end
if #messages > 0 then redis.pcall('PUBLISH', channel, '[' .. table.concat(messages, ',') .. ']') end
return answer
`;
