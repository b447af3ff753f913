-- For wrk: POST /classify with another sentence of a file each time.
--   wrk ... -s bench/sentences.lua URL -- FILE
-- FILE has one sentence a line. Each thread begins at a place of its own.

local sentences = {}
local requests = 0
local threads = 0

function setup(thread)
  thread:set("start", threads)
  threads = threads + 1
end

local function encode(text)
  return (text:gsub("[^%w]", function(c)
    return string.format("%%%02X", c:byte())
  end))
end

function init(args)
  for line in io.lines(args[1]) do
    if #line > 0 then
      sentences[#sentences + 1] = wrk.format(
          "POST", "/classify",
          {["Content-Type"] = "application/x-www-form-urlencoded"},
          "sentence=" .. encode(line))
    end
  end
  requests = start * 7919
end

function request()
  requests = requests + 1
  return sentences[requests % #sentences + 1]
end
