#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

FILE *open_file(const char *folder, const char *name)
{
    char path[MAX_PATH];
    FILE *file = NULL;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    require(length > 0 && length < MAX_PATH, "the name of the folder is too long");
    file = fopen(path, "rb");
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

int64_t number_in(const char *text)
{
    char *end = NULL;
    long long found = 0;
    require(text != NULL, "a number is missing");
    errno = 0;
    found = strtoll(text, &end, 10);
    require(errno == 0 && end != text && *end == 0, "'%.40s' is not a number", text);
    return found;
}

/* Reads a line without its comment.  Returns its first word (`strtok` gives the others), the empty
 * text for an empty line, or NULL at the end of the file. */
char *next_line(FILE *file, char *line)
{
    char *word;
    if (fgets(line, MAX_LINE, file) == NULL)
        return NULL;
    require(strchr(line, '\n') != NULL, "a line has no end, or is too long");
    line[strcspn(line, "#\r\n")] = 0;
    word = strtok(line, " ");
    return word == NULL ? line + strlen(line) : word;
}

/* Reads the elements of an array: little endian, on a machine of any byte order. */
void read_array(Array *a, FILE *file)
{
    int64_t i;
    int bytes = a->bits / 8, b;
    for (i = 0; i < count(a); i++) {
        uint64_t x = 0, sign = (uint64_t)1 << (a->bits - 1);
        int64_t value;
        for (b = 0; b < bytes; b++) {
            int byte = fgetc(file);
            require(byte != EOF, "a file of arrays is too short");
            x |= (uint64_t)byte << (8 * b);
        }
        value = (int64_t)(x & ~sign);
        if (x & sign)
            value = value - (int64_t)(sign - 1) - 1;
        put(a, i / a->width, i % a->width, value);
    }
}
