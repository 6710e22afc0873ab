-- An example: bedtime for the children's devices, a list of advertisers, and the office's names sent its way.
--
--   policy: { script: lua/scripts/family.lua, block: nxdomain }

-- A device belongs to the children by its address, or by the name it was told to use: dot://kids.gate.test
local kids = clients { "10.0.7.0/24", tls_name = { "kids.gate.test", "*.kids.gate.test" } }

local ads = domains { "doubleclick.net", "ads.example.com" } -- or domains.load("lists/ads.txt")
local school = domains { "school.example", "wikipedia.org" }

on.query(function(q)
  if ads:covers(q.name) then return q:block("advertising") end

  if q.client:among(kids) and time.between("21:00", "07:00") and not school:covers(q.name) then
    return q:refuse("bedtime")
  end

  if q.name:under("corp.example") then return q:forward("corp") end

  if q.name:is("printer.home.arpa") and q.type == "A" then
    return q:answer { { "A", "10.0.1.9", ttl = 300 } }
  end
end)

on.answer(function(q, a)
  if a:any_address_in("private") and not q.name:under("home.arpa", "corp.example") then
    return q:refuse("rebinding")
  end
end)
