-- ARGV: worker worker_json count kinds…
-- Hands out up to `count` jobs. Of 32 turns of a kind, one asks the low lanes
-- first and three the normal ones, so that none starves; the rest go by
-- priority. Within a priority, owners take turns. Kinds take turns too.
-- Answers the jobs and when the next delayed one is due (-1: none).
local worker, worker_json, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'il:delayed', '-inf', int(now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', 'il:delayed', id)
  local r = redis.call('HMGET', job_key(id), 'kind', 'priority', 'owner', 'ticket', 'status')
  if r[5] == 'retrying' then
    enqueue(id, r[1], r[2], r[3], r[4])
  end
end

local function pop(kind, priority)
  local ring = ring_key(kind, priority)
  while true do
    local owner = redis.call('LPOP', ring)
    if not owner then
      return nil
    end
    local lane = lane_key(kind, priority, owner)
    local popped = redis.call('ZPOPMIN', lane)
    if redis.call('EXISTS', lane) == 1 then
      redis.call('RPUSH', ring, owner)
    end
    if popped[1] then
      local status = redis.call('HGET', job_key(popped[1]), 'status')
      if status == 'queued' or status == 'retrying' then
        return popped[1], owner, status
      end
    end
  end
end

local function next_of(kind)
  local turn = tonumber(redis.call('HGET', 'il:turn', kind)) or 0
  local order = PRIORITIES
  if turn % 32 == 31 then
    order = { 'low', 'high', 'normal' }
  elseif turn % 8 == 7 then
    order = { 'normal', 'high', 'low' }
  end
  for _, priority in ipairs(order) do
    local id, owner, status = pop(kind, priority)
    if id then
      redis.call('HINCRBY', 'il:turn', kind, 1)
      return id, priority, owner, status
    end
  end
  return nil
end

local function start(id, kind, priority, owner, status)
  local key = job_key(id)
  local attempt = redis.call('HINCRBY', key, 'attempt', 1)
  redis.call('HINCRBY', key, 'tries', 1)
  local queue = queue_key(kind, priority)
  if redis.call('EXISTS', queue) == 0 then
    redis.call('XGROUP', 'CREATE', queue, GROUP, '$', 'MKSTREAM')
  end
  local entry = redis.call('XADD', queue, '*', 'id', id, 'attempt', attempt)
  redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', 1, 'STREAMS', queue, '>')
  set_status(id, status, 'running')
  redis.call('HSET', key, 'worker', worker_json, 'entry', entry, 'started', int(now), 'progress', '0')
  redis.call('HDEL', key, 'error')
  emit(id, attempt, '{"type":"started","worker":' .. worker_json .. '}')
  local r = redis.call('HMGET', key, 'created', 'request')
  return { id, kind, priority, owner, int(attempt), entry, r[1] or '0', r[2] or '' }
end

local kinds = {}
for i = 4, #ARGV do
  if redis.call('SISMEMBER', 'il:paused', ARGV[i]) == 0 then
    kinds[#kinds + 1] = ARGV[i]
  end
end
local jobs = {}
local misses, n = 0, 0
if #kinds > 1 then
  n = redis.call('HINCRBY', 'il:turn', 'kinds:' .. worker, 1)
end
while #kinds > 0 and #jobs < count and misses < #kinds do
  local kind = kinds[n % #kinds + 1]
  n = n + 1
  local id, priority, owner, status = next_of(kind)
  if id then
    misses = 0
    jobs[#jobs + 1] = start(id, kind, priority, owner, status)
  else
    misses = misses + 1
  end
end
local due = redis.call('ZRANGE', 'il:delayed', 0, 0, 'WITHSCORES')
return { jobs, due[2] and int(math.max(0, due[2] - now)) or '-1' }
