#pragma once

#include "base/bytes.hpp"
#include "resolver/iterate/iterate.hpp"

/// How the driver of the engine that recurses reaches groups of upstreams, which belong to the resolver around it.
namespace sallyport::resolver {

/// Hears what came of a question that a group was asked; never from within `GroupAsker::ask_group`.
class GroupUser {
public:
    /// A response with the id and the question of the query, whatever its RCODE; borrowed for the call.
    virtual void group_answered(iterate::Token token, base::Bytes message) noexcept = 0;
    virtual void group_failed(iterate::Token token) noexcept = 0;

protected:
    ~GroupUser() = default;
};

/// Its worker's thread only.
class GroupAsker {
public:
    /// False: there is no such group, or none of it can be asked.
    [[nodiscard]] virtual bool ask_group(GroupUser& user, const iterate::Ask& ask) noexcept = 0;
    /// The user does not wait for that any more.
    virtual void forget_asked(const GroupUser& user, iterate::Token token) noexcept = 0;

protected:
    ~GroupAsker() = default;
};

} // namespace sallyport::resolver
