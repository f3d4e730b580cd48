-- ARGV: id attempt (field value)…  attempt '' means a job that does not run.
local key = job_key(ARGV[1])
local r = redis.call('HMGET', key, 'status', 'attempt')
if not r[1] then
  return 'missing'
end
if ARGV[2] ~= '' and (r[1] ~= 'running' or r[2] ~= ARGV[2]) then
  return 'stale'
end
for i = 3, #ARGV, 2 do
  redis.call('HSET', key, ARGV[i], ARGV[i + 1])
end
redis.call('HINCRBY', key, 'sequence', 1)
return 'ok'
