#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

FILE *open_file(const char *folder, const char *name)
{
    char path[MAX_PATH];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    require(length > 0 && length < MAX_PATH, "the name of a folder is too long");
    FILE *file = fopen(path, "rb");
    require(file != NULL, "%s cannot be opened", path);
    return file;
}

int64_t size_of(FILE *file)
{
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    require(size >= 0, "a file of arrays has no size");
    rewind(file);
    return size;
}

/* Elements are little endian.  The machine may have any byte order. */
void read_array(Array *a, FILE *file)
{
    const uint64_t sign = (uint64_t)1 << (a->bits - 1);
    for (int64_t i = 0; i < count(a); i++) {
        uint64_t x = 0;
        for (int shift = 0; shift < a->bits; shift += 8) {
            int byte = fgetc(file);
            require(byte != EOF, "a file of arrays is too short");
            x |= (uint64_t)byte << shift;
        }
        int64_t value = (int64_t)(x & ~sign);
        if (x & sign)
            value = value - (int64_t)(sign - 1) - 1;
        put(a, i / a->width, i % a->width, value);
    }
}

const char *first_word(FILE *file, char *line)
{
    if (fgets(line, MAX_LINE, file) == NULL)
        return NULL;
    require(strchr(line, '\n') != NULL, "a line has no end, or is too long");
    line[strcspn(line, "#\n")] = 0;
    const char *word = strtok(line, " ");
    return word ? word : "";
}

const char *next_word(void) { return strtok(NULL, " "); }

int64_t number_in(const char *word)
{
    char *end = NULL;
    errno = 0;
    long long number = word ? strtoll(word, &end, 10) : 0;
    require(end != NULL && end != word && *end == 0 && errno == 0, "a word is not a number");
    return number;
}
