#pragma once

#include "base/result.hpp"
#include "net/client/options.hpp"
#include "net/client/session.hpp"

#include <memory>

namespace sallyport::net::client {

struct PeerMemory;

/// Makes sessions for one peer: holds what they share (TLS contexts, the CA store), read once.
class SessionFactory {
public:
    virtual ~SessionFactory() = default;

    /// Errors: a CA file that cannot be read; a transport that this build lacks (QUIC).
    [[nodiscard]] static base::Result<std::unique_ptr<SessionFactory>> make(const PeerOptions& peer,
                                                                            const Limits& limits = {});
    /// `user` and `memory` outlive the session; `memory` may be null: nothing is resumed then.
    [[nodiscard]] virtual std::unique_ptr<Session> session(SessionUser& user, PeerMemory* memory) const = 0;
};

/// Somewhere to keep what makes the next connection to the same peer faster.
class Memory {
public:
    Memory();
    ~Memory();
    [[nodiscard]] PeerMemory* get() noexcept { return memory_.get(); }

private:
    std::unique_ptr<PeerMemory> memory_;
};

} // namespace sallyport::net::client
