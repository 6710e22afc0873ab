// fuzz: links sallyport_wire
#include "wire/rdata.hpp"

#include <cstdlib>

using namespace sallyport;
using namespace sallyport::wire;

// A type's mnemonic, a blank, and text: what reads fits its type, prints, and reads back as the same octets.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 4096) return 0;
    const std::string_view input = base::as_text({data, size});
    const std::size_t blank = input.find(' ');
    if (blank == std::string_view::npos) return 0;
    const auto type = parse_rr_type(input.substr(0, blank));
    if (!type) return 0;
    const auto origin = Name::from_text("example.");
    const auto rdata = rdata_from_text(*type, input.substr(blank + 1), *origin);
    if (!rdata) return 0;
    if (!check_rdata(*type, *rdata)) std::abort();
    const auto again = rdata_from_text(*type, rdata_to_text(*type, *rdata), Name{});
    if (!again || *again != *rdata) std::abort();
    return 0;
}
