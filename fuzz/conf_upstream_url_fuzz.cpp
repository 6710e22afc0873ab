// fuzz: links sallyport_conf
#include "base/bytes.hpp"
#include "conf/upstream_url.hpp"

#include <cstdlib>

using namespace sallyport;

/// Whatever is taken for an upstream can be connected to: a host, a port, a transport that has the parts given.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    resolver::UpstreamOptions options;
    const std::string wrong = conf::read_upstream_url(base::as_text({data, size}), options);
    if (!wrong.empty()) return 0;
    if (options.host.empty() || options.port == 0) std::abort();
    if (options.addresses.empty() && !conf::is_domain_name(options.host)) std::abort();
    if (!options.server_name.empty() && !conf::is_domain_name(options.server_name)) std::abort();
    if (options.doh_path.empty() || options.doh_path.front() != '/') std::abort();
    return 0;
}
