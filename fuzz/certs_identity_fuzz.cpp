// fuzz: links sallyport_certs

#include "certs/identity.hpp"
#include "certs/issuer.hpp"
#include "certs/server_names.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <cstdlib>

using namespace sallyport;

namespace {

// Fixed, so that the seeds stay valid: 2030-01-01.
const base::WallTime kNow = std::chrono::system_clock::from_time_t(1'893'456'000);

void check_accepted(const certs::Identity& identity)
{
    if (identity.names().empty() && identity.addresses().empty()) std::abort();
    if (!std::ranges::all_of(identity.names(),
                             [](const auto& name) { return certs::canonical_host_name(name) == name; })) {
        std::abort();
    }
    if (identity.not_before() > kNow || identity.not_after() <= kNow) std::abort();
    if (X509_check_private_key(identity.leaf(), identity.key()) != 1) std::abort();
}

/// What was accepted is accepted again from what we write of it.
void check_round_trip(const certs::Identity& identity)
{
    std::string chain = certs::to_pem(identity.leaf());
    for (int i = 0; i < sk_X509_num(identity.intermediates()); ++i) {
        chain += certs::to_pem(sk_X509_value(identity.intermediates(), i));
    }
    const std::string key = certs::to_pem(identity.key());
    base::Problems problems;
    const auto again =
        certs::parse_identity({"chain", base::as_bytes(chain)}, {"key", base::as_bytes(key)}, kNow, {}, problems);
    if (!again || again->names() != identity.names() || again->addresses() != identity.addresses()) std::abort();
}

} // namespace

/// The input is one file that holds both: PEM readers skip what they do not look for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > certs::kMaxPemSize) return 0;
    base::Problems problems;
    const auto identity = certs::parse_identity({"chain", {data, size}}, {"key", {data, size}}, kNow, {}, problems);
    if ((identity == nullptr) != !problems.empty()) std::abort();
    if (ERR_peek_error() != 0) std::abort(); // a left-over error would be taken for a connection's
    if (!identity) return 0;
    check_accepted(*identity);
    check_round_trip(*identity);
    return 0;
}
