/**
 * The short way of a commit, in Lua: commits of one put, add, touch or delete each, on conditions of keys, in a scope that is there, open, without a
 * deadline of its own and with nothing due. Interpreted Lua is what a commit costs, so it does as few calls as it can. It must do as the long
 * way does: `reducer.test.ts` of this package runs both beside core's reducer. Whatever is not plain it leaves to the long way, untouched.
 */
export const leanScript = `
local function take_the_short_way()
  local next_before = meta[5]
  if not meta[1] or meta[3] or meta[4] or meta[6] ~= '' or not next_before then return nil end
  if next_before ~= '' and tonumber(next_before) <= now then return nil end
  local start, risky, commits, first = at, 0, {}, ARGV[at + 1]
  for i = 1, count do
    local commit = { id = take(), origin = take(), metadata = take(), quiet = take(), conditions = number() }
    commit.at = at
    for j = 1, commit.conditions do at = at + 3 end
    at = at + 1
    local op = take()
    commit.op, commit.key = op, take()
    if op == 'put' then commit.ttl, commit.text = number(), take()
    elseif op == 'touch' then commit.ttl = number()
    elseif op == 'add' then
      commit.by, commit.base, commit.min, commit.max, commit.ttl = number(), take(), take(), take(), number()
    end
    if op == 'delete' or (commit.ttl and commit.ttl >= 0 and op ~= 'touch') then risky = risky + 1 end
    commits[i] = commit
  end
  -- With no lasting entry left, all keys of the scope get an end: that is for the long way.
  if risky > 0 and call('ZCARD', O) <= call('ZCARD', X) + risky then
    at = start
    return nil
  end

  local head, events_head, outcomes, logged, pushed, timed = tonumber(meta[1]), tonumber(meta[2]), {}, {}, {}, false
  local function run(commit)
    for j = 0, commit.conditions - 1 do
      local key = ARGV[commit.at + j * 3 + 2]
      local raw = call('HGET', H, key)
      local revision = raw and tonumber((match(raw, '^%d+'))) or 0
      if revision ~= tonumber(ARGV[commit.at + j * 3 + 3]) then
        return refused('condition', j, key, raw and { raw = raw })
      end
    end
    local op, key = commit.op, commit.key
    local before, change, numbers = parse(call('HGET', H, key)), nil, ''
    local revision = math.max(math.max(head, floor) + step, micros)
    if op == 'touch' then
      if not before then return refused('absent', 0) end
      local expires = now + commit.ttl
      if before.expires > 0 and expires > before.expires then
        local rest = sub(before.raw, #match(before.raw, '^%d+ %d+ %d+ ') + 1)
        call('HSET', H, key, int(before.revision) .. ' ' .. int(before.created) .. ' ' .. int(expires) .. ' ' .. rest)
        call('ZADD', X, int(expires), key)
        timed = true
      end
    elseif op == 'delete' then
      if before then
        call('HDEL', H, key)
        call('ZREM', O, key)
        if before.expires > 0 then
          call('ZREM', X, key)
          timed = true
        end
        change = '["d",' .. json(key) .. ']'
      end
    else
      local text, created, expires = commit.text, before and before.created or revision, 0
      if op == 'add' then
        local sum, why, entry = sum_of(before, commit)
        if why then return refused(why, 0, key, entry) end
        text = exact(sum)
        numbers = text
      end
      if commit.ttl >= 0 then expires = now + commit.ttl
      elseif op == 'add' and before then expires = before.expires end
      call('HSET', H, key, int(revision) .. ' ' .. int(created) .. ' ' .. int(expires) .. ' ' .. #commit.metadata .. ' ' .. commit.metadata .. text)
      if not before then call('ZADD', O, 0, key) end
      if expires > 0 then
        call('ZADD', X, int(expires), key)
        timed = true
      elseif before and before.expires > 0 then
        call('ZREM', X, key)
        timed = true
      end
      change = '["s",' .. json(key) .. ',' .. int(created) .. ',' .. int(expires) .. ',' .. json(text) .. ']'
    end
    if not change then return '[1,' .. int(head) .. ',0,[' .. numbers .. ']]' end
    local record = record_of(revision, head, commit.id, commit.origin, commit.metadata, commit.quiet, change, '', events_head)
    head = revision
    logged[#logged + 1] = int(revision)
    logged[#logged + 1] = record
    pushed[#pushed + 1] = record
    return '[1,' .. int(revision) .. ',1,[' .. numbers .. ']]'
  end
  for i, commit in ipairs(commits) do outcomes[i] = run(commit) end

  local next_text = next_before
  if timed then
    local earliest = call('ZRANGE', X, 0, 0, 'WITHSCORES')[2]
    next_text = earliest and int(tonumber(earliest)) or ''
    if next_text ~= next_before then
      if earliest then call('ZADD', D, next_text, scope) else call('ZREM', D, scope) end
    end
  end
  call('HSET', H, '"head', int(head), '"next', next_text,
    '"keep', int(keep[1]) .. ' ' .. int(keep[2]) .. ' ' .. int(keep[3]) .. ' ' .. int(keep[4]))
  if #pushed > 0 then
    if keep[1] > 0 then
      for i = 1, #logged, 2000 do call('ZADD', L, unpack(logged, i, math.min(i + 1999, #logged))) end
    end
    call('ZREMRANGEBYRANK', L, 0, -keep[1] - 1)
    call('ZREMRANGEBYSCORE', L, '-inf', '(' .. int(micros - keep[2] * 1000))
  end
  local answer = '{"h":' .. int(head) .. ',"n":' .. int(now) .. ',"x":' .. (next_text == '' and 'null' or next_text)
    .. ',"o":[' .. table.concat(outcomes, ',') .. ']}'
  remember(first, answer)
  if #pushed > 0 then redis.pcall('PUBLISH', channel, '[' .. table.concat(pushed, ',') .. ']') end
  return answer
end
if lean then
  local answer = take_the_short_way()
  if answer then return answer end
end
`;
