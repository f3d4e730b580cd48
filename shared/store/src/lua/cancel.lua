-- ARGV: id retention_s. Answers the state before, or '' if there is no such job.
local id = ARGV[1]
local key = job_key(id)
local r = redis.call('HMGET', key, 'status', 'kind', 'priority', 'owner', 'cancel')
if not r[1] then
  return ''
end
if r[1] == 'queued' or r[1] == 'retrying' then
  dequeue(id, r[2], r[3], r[4])
  redis.call('HDEL', key, 'worker')
  finish(id, r[1], 'cancelled', '', now_ms(), ARGV[2], false)
elseif r[1] == 'running' and not r[5] then
  redis.call('HSET', key, 'cancel', 1)
  redis.call('HINCRBY', key, 'sequence', 1)
  redis.call('PUBLISH', 'il:cancel', id)
end
return r[1]
