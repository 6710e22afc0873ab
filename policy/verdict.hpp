#pragma once

#include "wire/types.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::policy {

/// What a rule wants done with a query or an answer. Reused from call to call, so that its texts keep their room.
struct Verdict {
    enum class Action : std::uint8_t {
        proceed, ///< no opinion: the walk goes on
        block,   ///< as `policy.block` says: NXDOMAIN, the unspecified address, nothing, or REFUSED
        refuse,  ///< REFUSED, EDE 18 (prohibited) or the one given
        answer,  ///< `records`, or NODATA where there are none
        forward, ///< to the group of upstreams in `group`
        drop,    ///< silence; on a stream the answer is REFUSED, as one may not leave its client waiting
    };
    struct Record {
        wire::RrType type{};
        wire::Ttl ttl{};
        std::vector<std::uint8_t> rdata; ///< uncompressed
    };

    Action action = Action::proceed;
    wire::Rcode rcode = wire::Rcode::NOERROR; ///< of `answer`
    std::string reason;                       ///< told as text of the EDE and in the query log; may be empty
    std::string rule;                         ///< what decided: `file.lua:12`
    std::string group;                        ///< of `forward`
    std::vector<Record> records;              ///< of `answer`, owned by the question's name

    void clear()
    {
        action = Action::proceed;
        rcode = wire::Rcode::NOERROR;
        reason.clear();
        rule.clear();
        group.clear();
        records.clear();
    }
};

} // namespace sallyport::policy
