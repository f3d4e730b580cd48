-- ARGV: kinds…  For each: high normal low running delayed paused.
local delayed = {}
for _, id in ipairs(redis.call('ZRANGE', 'il:delayed', 0, 9999)) do
  local kind = redis.call('HGET', job_key(id), 'kind')
  if kind then
    delayed[kind] = (delayed[kind] or 0) + 1
  end
end
local rows = {}
for n, kind in ipairs(ARGV) do
  local row = {}
  for i, priority in ipairs(PRIORITIES) do
    local waiting = 0
    for _, owner in ipairs(redis.call('LRANGE', ring_key(kind, priority), 0, -1)) do
      waiting = waiting + redis.call('ZCARD', lane_key(kind, priority, owner))
    end
    row[i] = waiting
  end
  row[4] = running(kind)
  row[5] = delayed[kind] or 0
  row[6] = redis.call('SISMEMBER', 'il:paused', kind)
  rows[n] = row
end
return rows
