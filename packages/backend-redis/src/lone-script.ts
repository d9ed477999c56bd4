import { mostUnordered } from "./order-script.js";
import { usualAge } from "./retention.js";

/**
 * The way of a commit that goes alone, in Lua: one put or delete in one batch of one scope, on at most one condition that holds, without metadata,
 * by the scope's last writer. A `set`, a compare-and-set, a lock and its release are such commits, and a caller waits for each: it calls only what it must and
 * makes no function. Whatever is not so it leaves to the other ways, untouched: `reducer.test.ts` of this package runs all of them beside core's reducer.
 */
export const loneScript = `
repeat
  local way, size, sequence, life, floor, step, keep_text = match(ARGV[3], '^(%l+) 1 (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
  if not way or way == 'long' or size + 2 ~= #ARGV then break end
  local H, writer, key, text, ttl, other, expected = KEYS[1], ARGV[4], ARGV[6], ARGV[7], -1, nil, nil
  if way == 'lean' then
    local op, conditions
    op, ttl, conditions = match(text, '^(%l+) (%S+) (%d+)$')
    if key ~= '' or (conditions ~= '0' and conditions ~= '1') or (op ~= 'put' and op ~= 'delete') then break end
    local at = op == 'put' and 9 or 8
    key, ttl, text = ARGV[8], tonumber(ttl), op == 'put' and ARGV[9]
    if conditions == '1' then other, expected = ARGV[at + 1], tonumber(ARGV[at + 2]) end
  end
  local found = other and call('HMGET', H, '"s', '"w', '"k', '"b', key, other) or call('HMGET', H, '"s', '"w', '"k', '"b', key)
  local state, last_writer, kept, base, raw, judged = unpack(found)
  if not state or not last_writer or (kept or '') ~= keep_text then break end
  local head, events_text, next_text, fresh, ordered, more = match(state, '^(%d+) (%d+) (%d+) (%d+)(i?)(.*)$')
  -- A scope without a lasting entry, such as one of locks alone: all its keys have an end, and get a later one.
  local ends = more == ' 0 0' and events_text == '0' and (not text or ttl >= 0)
  if not head or (more ~= '' and not ends) or sub(last_writer, 1, #writer + 1) ~= writer .. '\\n' then break end
  local last_sequence, life_before = match(last_writer, '^(%d+)\\n(%d+)$', #writer + 2)
  if tonumber(last_sequence) >= tonumber(sequence) then break end
  local next_at = tonumber(next_text)
  if (next_at > 0 and next_at <= now) or now > tonumber(life) then break end
  fresh = fresh + 1
  if fresh >= 64 or (keep_text ~= '' and fresh >= tonumber(match(keep_text, '^%d+'))) then break end
  if other and (judged and facts_of(judged, base) or 0) ~= expected then break end
  local created, ended, _ = nil, 0, nil
  if raw then _, created, ended = facts_of(raw, base)
  elseif not text or (ordered == '' and call('HLEN', H) >= ${mostUnordered}) then break end
  local tag, bucket, scope = match(H, '^(.-({%d+}:))e:(.*)$')
  local X = tag .. 'x:' .. scope
  -- With no lasting entry left, all keys of the scope get an end. Four fields are there beside the entries, or up to six.
  if not ends and raw and ended == 0 and (not text or ttl >= 0)
    and call('HLEN', H) - 5 - (kept and 1 or 0) - (base and 1 or 0) <= (next_at > 0 and call('ZCARD', X) or 0) then break end

  local last = max(max(tonumber(head), tonumber(floor)) + step, micros)
  local revision, expires, stored, change = last == micros and micros_text or int(last), 0, nil, json(key)
  if not text then
    call('HDEL', H, key)
    change = change .. ',0'
  else
    change = change .. ',' .. json(text)
    if ttl >= 0 then expires = now + ttl end
    stored = raw_of(last, created or last, expires, '', text, base)
    if raw or ttl >= 0 then change = change .. ',' .. int(created or last) .. ',' .. int(expires) end
  end
  local record = '[' .. revision .. ',' .. head .. ',' .. now_text .. ',' .. about_of(ARGV[5], writer) .. ',[[' .. change .. ']]]'
  local L, age = tag .. 'c:' .. scope, keep_text == '' and ${usualAge} or tonumber(match(keep_text, ' (%d+)'))
  if (call('RPUSH', L, record) == 1 or is_later(life, life_before, age)) and not ends then end_log(L, age) end
  local next_now = next_text
  if expires > 0 or ended > 0 then
    if expires > 0 then call('ZADD', X, int(expires), key) else call('ZREM', X, key) end
    if ended > 0 and ended <= next_at then next_now = call('ZRANGE', X, 0, 0, 'WITHSCORES')[2]
      next_now = next_now and int(tonumber(next_now)) or '0'
    elseif expires > 0 and (next_at == 0 or expires < next_at) then next_now = int(expires) end
  end
  if ordered ~= '' then
    if not text then call('ZREM', tag .. 'o:' .. scope, key)
    elseif not raw then call('ZADD', tag .. 'o:' .. scope, 0, key) end
  end
  if ends then
    local over = max(tonumber(call('ZREVRANGE', X, 0, 0, 'WITHSCORES')[2] or 0), tonumber(life), now + 1000)
    for _, name in ipairs({ H, L, X, ordered ~= '' and tag .. 'o:' .. scope or nil }) do call('PEXPIREAT', name, int(over - offset)) end
    call('ZADD', tag .. 'due', next_now ~= '0' and next_now or int(over + 1000), scope)
  elseif next_now ~= next_text then
    if next_now ~= '0' then call('ZADD', tag .. 'due', next_now, scope) else call('ZREM', tag .. 'due', scope) end
  end
  local told = last == micros and offset % 1 == 0 and 'h' or now_text .. 'h'
  state = revision .. ' ' .. events_text .. ' ' .. next_now .. ' ' .. fresh .. ordered .. more
  local memory = writer .. '\\n' .. sequence .. '\\n' .. life
  if text then call('HSET', H, '"s', state, '"w', memory, '"i', ARGV[5], '"a', told, key, stored)
  else call('HSET', H, '"s', state, '"w', memory, '"i', ARGV[5], '"a', told) end
  redis.pcall('PUBLISH', own_prefix .. bucket .. 'p:' .. scope, '[' .. record .. ']')
  return { '[' .. revision .. ',' .. now_text .. ',' .. next_now .. ',[' .. revision .. ']]' }
until true
`;
