#pragma once

#include "listeners/doh3.hpp"
#include "listeners/doq.hpp"
#include "listeners/quic/endpoint_core.hpp"
#include "listeners/quic/object_pool.hpp"

namespace sallyport::listeners::quic {

/// Stream objects of one worker and port: a query takes one and leaves it to the next.
struct EndpointCore::Pools {
    ObjectPool<DoqStream> doq;
    ObjectPool<Doh3Stream> doh3;
};

} // namespace sallyport::listeners::quic
