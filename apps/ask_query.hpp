#pragma once

#include "apps/ask.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "wire/message_view.hpp"

#include <string>
#include <vector>

namespace sallyport::apps {

/// The query of one question as octets.
[[nodiscard]] std::vector<std::uint8_t> make_query(const AskQuestion& question, const AskQueryOptions& options,
                                                   std::uint16_t id, base::RandomSource& random);

/// Why `answer` is not the response to `query`; empty where it is. A response may come without a question where the
/// server could not read it (FORMERR and the like).
[[nodiscard]] std::string misfit(base::Bytes query, base::Bytes answer);

/// `NAME [TYPE [CLASS]]` as people write it, in any order of type and class.
[[nodiscard]] base::Result<AskQuestion> read_question(const std::vector<std::string>& words);

/// The name under in-addr.arpa or ip6.arpa of an address.
[[nodiscard]] wire::Name reverse_name(const base::IpAddress& address);

} // namespace sallyport::apps
