-- ARGV: fields… '' ids…
-- One row a job: the fields' values, then position and eta. A row of a job that
-- is not there is empty.
local fields, ids, rest = {}, {}, false
for i = 1, #ARGV do
  if ARGV[i] == '' then
    rest = true
  elseif rest then
    ids[#ids + 1] = ARGV[i]
  else
    fields[#fields + 1] = ARGV[i]
  end
end
local now = now_ms()
local rows = {}
for n, id in ipairs(ids) do
  local key = job_key(id)
  local row = redis.call('HMGET', key, unpack(fields))
  local state = redis.call('HMGET', key, 'kind', 'priority', 'owner', 'status')
  if not state[4] then
    rows[n] = {}
  else
    local ahead, seconds = false, false
    if state[4] == 'queued' then
      ahead = position(id, state[1], state[2], state[3])
      if ahead then
        seconds = eta(state[1], ahead, now)
        ahead = int(ahead)
      end
    end
    row[#fields + 1] = ahead or ''
    row[#fields + 2] = seconds or ''
    for i = 1, #fields do
      row[i] = row[i] or ''
    end
    rows[n] = row
  end
end
return rows
