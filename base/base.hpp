#pragma once

/// Module `base`: what every other module stands on; it knows nothing of DNS.
///
/// Result and error types, clock and randomness as interfaces, octets, addresses, keyed hashing, counters, the
/// service log. It opens no socket but the log's stream, starts no thread and keeps no state but the log.
/// Start reading at `result.hpp` and `bytes.hpp`.

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/handle.hpp"
#include "base/hash.hpp"
#include "base/ip_address.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/transport.hpp"
