import { mostUnordered } from "./order-script.js";

/**
 * The shortest way of a commit, in Lua: puts without conditions, deadlines or metadata, in a scope that is there, open, without a deadline of its own
 * and with nothing due. Most commits are these, and interpreted Lua is what they cost: one call each for the clock, reading, writing, the log and
 * the push, however many puts there are, and no function of its own. Whatever is not plain it leaves to the longer ways, untouched:
 * `reducer.test.ts` of this package runs all of them beside core's reducer.
 */
export const plainScript = `
if not answer and way == 'plain' and is_plain then
  local last, before = tonumber(head_text), head_text
  local fields, size, places, outcomes, records, born = { '"s', '', '"w', '', '"i', first, '"a', '' }, 8, {}, {}, {}, nil
  for i = 1, count do
    local at = start + i * 3
    local key, text = ARGV[at + 1], ARGV[at + 2]
    local place = places[key]
    -- The same key again in this batch: what counts is what was just written of it.
    local raw = place and fields[place] or not place and found[i + 4]
    if not place then
      if not raw then
        born = born or {}
        born[#born + 1] = 0
        born[#born + 1] = key
      end
      place = size + 2
      places[key], fields[size + 1], size = place, key, place
    end
    last = max(max(last, floor) + step, micros)
    local revision, change, created = int(last), json(text), last
    if raw then
      local _, born, expires = facts_of(raw, base_text)
      -- A deadline that ends is for the longer ways.
      if expires > 0 then outcomes = nil; break end
      created, change = born, change .. ',' .. int(born) .. ',0'
    end
    fields[place] = raw_of(last, created, 0, '', text, base_text)
    outcomes[i] = revision
    records[i] = '[' .. revision .. ',' .. before .. ',' .. now_text .. ',' .. about_of(ARGV[at], writer) .. ',[[' .. json(key) .. ',' .. change .. ']]]'
    before = revision
  end
  -- So is a scope that grows beyond what needs no order.
  if born and ordered == '' and call('HLEN', H) + #born / 2 > ${mostUnordered} then outcomes = nil end
  if outcomes then
    answer = '[' .. before .. ',' .. now_text .. ',' .. next_text .. ',[' .. table.concat(outcomes, ',') .. ']]'
    local is_same = kept_text == keep_text
    fields[2] = before .. ' ' .. events_text .. ' ' .. next_text .. ' ' .. log(L, records, fresh, keep_text, is_same, life, life_before) .. ordered
    fields[4], fields[8] = writer .. '\\n' .. sequence .. '\\n' .. life, answer
    if count == 1 then fields[8] = last == micros and offset % 1 == 0 and 'h' or now_text .. 'h' end
    if last_writer and not is_last then bury(H, W, last_writer, life, state) end
    call('HSET', H, unpack(fields))
    if not is_same then keep_as(H, keep_text) end
    if born and ordered ~= '' then call('ZADD', tag .. 'o:' .. scope, unpack(born)) end
    redis.pcall('PUBLISH', channel, '[' .. table.concat(records, ',') .. ']')
  end
end
`;
