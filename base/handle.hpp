#pragma once

#include <memory>

/// Owners for what C libraries hand out: the line that makes an object names who frees it.
namespace sallyport::base {

template <auto Free>
struct Releaser {
    void operator()(auto* object) const noexcept { Free(object); }
};

/// `using TlsHandle = Handle<SSL, SSL_free>;`
template <class T, auto Free>
using Handle = std::unique_ptr<T, Releaser<Free>>;

} // namespace sallyport::base
