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
    local raw = place and fields[place] or not place and found[i + 3]
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
    local revision, change = int(last), json(text)
    if not raw then fields[place] = revision .. ' ' .. text
    else
      local created = sub(raw, 1, 16)
      if byte(raw, 17) == 124 then
        created = sub(raw, 18, 33)
        -- A deadline that ends is for the longer ways.
        if sub(raw, 34, 35) ~= '0 ' then outcomes = nil; break end
      end
      fields[place] = revision .. '|' .. created .. '0 0 ' .. text
      change = change .. ',' .. created .. ',0'
    end
    outcomes[i] = revision
    records[i] = '[' .. revision .. ',' .. before .. ',' .. now_text .. ',' .. about_of(ARGV[at], writer) .. ',[[' .. json(key) .. ',' .. change .. ']]]'
    before = revision
  end
  if outcomes then
    answer = '[' .. before .. ',' .. now_text .. ',' .. next_text .. ',[' .. table.concat(outcomes, ',') .. ']]'
    local is_same = kept_text == keep_text
    fields[2] = before .. ' ' .. events_text .. ' ' .. next_text .. ' ' .. log(L, records, fresh, keep_text, is_same)
    fields[4], fields[8] = writer .. '\\n' .. sequence .. '\\n' .. life, answer
    if not is_same then fields[size + 1], fields[size + 2] = '"k', keep_text end
    if last_writer and not is_last then bury(H, W, last_writer, life) end
    call('HSET', H, unpack(fields))
    if born then call('ZADD', tag .. 'o:' .. scope, unpack(born)) end
    redis.pcall('PUBLISH', channel, '[' .. table.concat(records, ',') .. ']')
  end
end
`;
