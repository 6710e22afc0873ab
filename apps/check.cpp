#include "apps/check.hpp"

#include "admin/token_file.hpp"
#include "apps/exit_codes.hpp"
#include "apps/loaded.hpp"
#include "apps/rollover.hpp"
#include "resolver/shared.hpp"

#include <iostream>

namespace sallyport::apps {

int check(const std::string& config)
{
    base::Problems problems;
    const auto loaded = load_everything(config, nullptr, problems);
    if (loaded) {
        // What is read when it is put to use: authorities of upstreams, the token.
        const auto& configuration = loaded->configuration;
        (void)resolver::Shared{}.prepare(configuration.resolver, problems);
        (void)admin::read_token(configuration.admin.token_file, configuration.admin.token_position, problems);
    }
    if (!problems.empty()) {
        print_problems(problems);
        return exit_bad_input;
    }
    if (loaded->followed && loaded->followed->damage)
        std::cerr << "note: " << loaded->followed->damage->to_string()
                  << ": the state of trust anchors is damaged; at the start it is put aside\n";
    std::cout << config << ": good: " << loaded->ports.size() << " ports, " << loaded->zones->zone_count() << " zones, "
              << loaded->zones->record_count() << " records";
    if (loaded->identities) std::cout << ", " << loaded->identities->identities().size() << " certificates";
    std::cout << '\n';
    return exit_ok;
}

} // namespace sallyport::apps
