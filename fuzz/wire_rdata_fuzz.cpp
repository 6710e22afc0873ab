// fuzz: links sallyport_wire
#include "wire/rdata.hpp"

#include <cstdlib>

using namespace sallyport;
using namespace sallyport::wire;

// Two octets of type, then RDATA: what fits its type prints, and reads back as the same octets.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2 || size > 8192) return 0;
    const base::Bytes input{data, size};
    const auto type = static_cast<RrType>(base::load_be16(input, 0));
    const base::Bytes rdata = input.subspan(2);
    static_cast<void>(target_name(type, rdata));
    const std::string text = rdata_to_text(type, rdata);
    for (const char c : text) {
        if (c < 0x20 || c > 0x7E) std::abort();
    }
    if (!check_rdata(type, rdata)) return 0;
    const auto again = rdata_from_text(type, text, Name{});
    if (!again || !base::equal(*again, rdata)) std::abort();
    return 0;
}
