#include "apps/check.hpp"

#include "apps/exit_codes.hpp"
#include "apps/loaded.hpp"

#include <iostream>

namespace sallyport::apps {

int check(const std::string& config)
{
    base::Problems problems;
    const auto loaded = load_everything(config, nullptr, problems);
    if (!loaded) {
        print_problems(problems);
        return exit_bad_input;
    }
    std::cout << config << ": good: " << loaded->ports.size() << " ports, " << loaded->zones->zone_count() << " zones, "
              << loaded->zones->record_count() << " records";
    if (loaded->identities) std::cout << ", " << loaded->identities->identities().size() << " certificates";
    std::cout << '\n';
    return exit_ok;
}

} // namespace sallyport::apps
