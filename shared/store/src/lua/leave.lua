-- ARGV: worker kinds…  It has stopped in order.
redis.call('ZREM', 'il:workers', ARGV[1])
redis.call('DEL', 'il:worker:' .. ARGV[1])
redis.call('HDEL', 'il:turn', 'kinds:' .. ARGV[1])
for i = 2, #ARGV do
  for _, priority in ipairs(PRIORITIES) do
    forget_consumer(queue_key(ARGV[i], priority), ARGV[1])
  end
end
return 1
