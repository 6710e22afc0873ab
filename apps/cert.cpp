#include "apps/cert.hpp"

#include "apps/exit_codes.hpp"
#include "base/clock.hpp"
#include "certs/certs.hpp"

#include <iostream>

namespace sallyport::apps {

int cert_dev(const CertDevOptions& options)
{
    certs::DevelopmentOptions wanted;
    wanted.directory = options.directory;
    if (!options.names.empty()) wanted.names = options.names;
    wanted.validity = std::chrono::hours{24} * options.days;
    wanted.replace = options.replace;
    const auto made = certs::make_development(wanted, base::SystemClock{}.wall());
    if (!made) {
        std::cerr << made.error().to_string() << '\n';
        return exit_bad_input;
    }
    if (options.quiet && !made->made_ca && !made->made_leaf) return exit_ok;
    std::cout << (made->made_ca ? "made     " : "kept     ") << made->ca_file << "  (trust this one in clients)\n"
              << (made->made_leaf ? "made     " : "kept     ") << made->chain_file << '\n'
              << (made->made_leaf ? "made     " : "kept     ") << made->key_file << '\n';
    return exit_ok;
}

} // namespace sallyport::apps
