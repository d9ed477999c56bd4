/** What is asked of a scope, in Lua: each at one instant of the server's clock. */
import { answerFunction, remembered } from "./commit-script.js";
import { aboutFunction, firstRecordFunction, logFunctions } from "./log-script.js";
import { refuseNewer } from "./newer-script.js";
import { spanFunctions } from "./order-script.js";
import { usualRetention } from "./retention.js";

// The beginning of each: the clock, the scope's meta, and whether the scope is past its own deadline.
const beginning = `
local H, O, L, F = unpack(KEYS)
local call, fmt, match, sub = redis.call, string.format, string.match, string.sub
local time, offset = call('TIME'), tonumber(ARGV[1])
local now = time[1] * 1000 + math.floor(time[2] / 1000) + offset
local function int(n) return fmt('%.0f', n) end
local function expires_of(raw)
  local form = string.byte(raw)
  if form > 57 or form < 48 or sub(raw, 17, 17) == ' ' then return 0 end
  return tonumber((match(raw, '^%d+', 34)))
end
${spanFunctions}
local meta = call('HMGET', H, '"s', '"k', '"b')
${refuseNewer("meta[1]")}
local head, events_head, next_deadline, part, ordered, deadline, sealed = match(meta[1] or '0', '^(%d+) ?(%d*) ?(%d*) ?(y?%d*)(i?) ?(%d*) ?(%d*)$')
local first = meta[3] or head
deadline = tonumber(deadline)
if deadline and deadline > 0 and sealed == '0' and now >= deadline then
  local latest = deadline
  if ordered == '' then
    local locks = span_of(H, '!/lock/', '!/lock0')
    for i = 2, #locks, 2 do latest = math.max(latest, expires_of(locks[i])) end
  else
    for _, key in ipairs(call('ZRANGEBYLEX', O, '[!/lock/', '(!/lock0')) do
      latest = math.max(latest, expires_of(call('HGET', H, key)))
    end
  end
  if now >= latest then
    head, next_deadline, events_head, part, H, O, L = '0', '0', '0', '0', H .. '"', O .. '"', L .. '"'
  end
end
if next_deadline == '' then next_deadline = '0' end
local function is_live(raw)
  local expires = expires_of(raw)
  return expires == 0 or now < expires
end
`;

/** Entries by key: head, clock, next deadline, the revision of the scope's first commit, then each entry or false. */
export const readScript = `${beginning}
local answer = { head, int(now), next_deadline, first }
for i = 2, #ARGV do
  local raw = call('HGET', H, ARGV[i])
  answer[i + 3] = raw and is_live(raw) and raw or false
end
return answer
`;

/** A page of a listing: head, clock, where the next begins, the revision of the scope's first commit, then keys and entries in turn. */
export const listScript = `${beginning}
local from, to, limit, bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local answer, count = { head, int(now), '', first }, 0
-- Takes an entry, unless the page is full.
local function take(key, raw)
  if not is_live(raw) then return true end
  if count > 0 and (count >= limit or bytes < #raw) then
    answer[3] = key
    return false
  end
  count = count + 1
  bytes = bytes - #raw
  answer[#answer + 1] = key
  answer[#answer + 1] = raw
  return true
end
if ordered == '' then
  local found, keys, raws = span_of(H, from, to), {}, {}
  for i = 1, #found, 2 do
    keys[#keys + 1] = found[i]
    raws[found[i]] = found[i + 1]
  end
  table.sort(keys, is_below)
  for _, key in ipairs(keys) do
    if not take(key, raws[key]) then break end
  end
  return answer
end
local place = 0
while true do
  local keys = call('ZRANGEBYLEX', O, '[' .. from, to == '' and '+' or '(' .. to, 'LIMIT', place, 500)
  if #keys == 0 then return answer end
  for i, raw in ipairs(call('HMGET', H, unpack(keys))) do
    if not take(keys[i], raw) then return answer end
  end
  place = place + #keys
end
`;

/** A page of a log: its head, the clock, whether more follow, then the records. */
export const logScript = `${beginning}${logFunctions}${aboutFunction}${firstRecordFunction}
local after, events, limit, bytes, newest = tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local keep = {}
for part in string.gmatch(meta[2] or (meta[1] and '${usualRetention}') or '', '%S+') do keep[#keep + 1] = tonumber(part) end
local micros = time[1] * 1000000 + time[2] + offset * 1000
if keep[1] then trim(L, keep[events and 3 or 1], micros - keep[events and 4 or 2] * 1000) end
local answer = { events and events_head or head, int(now), '0' }
local found = {}
if meta[1] and head ~= '0' and (part == '' or string.byte(part) == 121) then
  -- Its one record is told by its entries.
  local revision = tonumber(head)
  if not events and revision > after and keep[1] > 0 and revision >= micros - keep[2] * 1000 then
    local born_at = part == '' and '' or sub(part, 2)
    found[1] = first_record(H, head, born_at == '' and int(math.floor(revision / 1000)) or born_at)
  end
else
  local start = place_of(L, after + 1)
  if newest then start = math.max(start, call('LLEN', L) - limit) end
  found = call('LRANGE', L, start, start + limit - (newest and 1 or 0))
end
local first, last, step = 1, #found, 1
if newest then first, last, step = #found, 1, -1 end
local taken = {}
for i = first, last, step do
  local record = found[i]
  if #taken > 0 and (#taken >= limit or bytes < #record) then
    if not newest then answer[3] = '1' end
    break
  end
  bytes = bytes - #record
  taken[#taken + 1] = record
end
for i = 1, #taken do answer[i + 3] = taken[newest and #taken + 1 - i or i] end
return answer
`;

/** Removes a scope; its head stays as a floor for all of its bucket, so that tokens only grow, and what is remembered of its writers. */
export const dropScript = `
local call, match, H = redis.call, string.match, KEYS[1]
${answerFunction}
local tag, scope = match(H, '^(.-{%d+}:)e:(.*)$')
local function key(what) return tag .. what .. ':' .. scope end
local state, writer, about, answer = unpack(call('HMGET', H, '"s', '"w', '"i', '"a'))
${refuseNewer("state")}
local head = state and tonumber(match(state, '^%d+')) or 0
local F = tag .. 'floor'
local floor = tonumber(call('GET', F)) or 0
if head > floor then call('SET', F, string.format('%.0f', head)) end
if writer then
  local name, sequence, life = match(writer, '^(.*)\\n(%d+)\\n(%d+)$')
  call('HSET', key('w'), name, sequence .. '\\n' .. life .. '\\n' .. about .. '\\n' .. whole(answer, state))
  call('PEXPIREAT', key('w'), string.format('%.0f', tonumber(life) - math.floor(tonumber(ARGV[2])) + ${remembered}))
end
call('DEL', H, key('o'), key('x'), key('c'), key('f'))
call('ZREM', tag .. 'scopes', scope)
call('ZREM', tag .. 'due', scope)
redis.pcall('PUBLISH', ARGV[1], 'wake')
return 1
`;
