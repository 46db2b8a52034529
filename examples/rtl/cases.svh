// Reads the vectors that `python -m int8ref.vectors --output-format folder` writes, and runs them.
// A testbench includes this file.
//
// A case is a folder with desc.txt, whose lines are words:
//
//     op NAME
//     constant FIELD NUMBER
//     operand FIELD FILE TYPE SIZE...        also: result, intermediate
//
// `read_case` reads one case.  Then `constant` gives a constant, `count` the number of elements of
// an array (0 if the array is absent), and `text` the name of its file for $readmemh.
//
// `run_cases` runs every case of an operation: the testbench defines `run_case`, which sets `received`
// to 0, counts the results in it, and ends with `end_case`.

localparam ENTRIES = 64;

string folder_of_case;
string op;
string fields[ENTRIES];
string files[ENTRIES];
longint numbers[ENTRIES];
integer entries;

task automatic read_case(input string folder);
  integer file, status, size;
  string word, field, name, kind, rest;
  longint number;
  folder_of_case = folder;
  entries = 0;
  file = $fopen({folder, "/desc.txt"}, "r");
  if (file == 0) begin
    $display("FAIL: there is no %s/desc.txt", folder);
    $finish;
  end
  while ($fscanf(file, "%s", word) == 1) begin
    if (word == "op") status = $fscanf(file, "%s", op);
    else begin
      name = "";
      if (word == "constant") status = $fscanf(file, "%s %d", field, number);
      else begin
        status = $fscanf(file, "%s %s %s", field, name, kind);
        number = 1;
        while ($fgetc(file) == " ") begin
          status = $fscanf(file, "%d", size);
          number = number * size;
        end
      end
      fields[entries] = field;
      files[entries] = name;
      numbers[entries] = number;
      entries = entries + 1;
    end
  end
  $fclose(file);
endtask

function automatic integer entry(input string field);
  entry = -1;
  for (int i = 0; i < entries; i++) if (fields[i] == field) entry = i;
endfunction

function automatic longint constant(input string field);
  constant = numbers[entry(field)];
endfunction

function automatic integer count(input string field);
  count = (entry(field) < 0) ? 0 : numbers[entry(field)];
endfunction

// FIELD.bin is the raw file, and FIELD.hex the text.
function automatic string text(input string field);
  string name;
  name = files[entry(field)];
  text = {folder_of_case, "/", name.substr(0, name.len() - 5), ".hex"};
endfunction

reg clk = 0, rst = 1;
always #5 clk = ~clk;

integer received, checked = 0, cases = 0, wrong = 0;

// A case has had `results` elements of out, each with this number of checked arrays.
task automatic end_case(input integer results, input integer arrays);
  if (received != results) begin
    $display("%s: %0d results, not %0d", folder_of_case, received, results);
    wrong = wrong + 1;
  end
  checked = checked + results * arrays;
  cases = cases + 1;
endtask

task automatic run_cases(input string wanted);
  string vectors, name;
  integer list;
  if (!$value$plusargs("vectors=%s", vectors)) vectors = "vectors";
  list = $fopen({vectors, "/cases.txt"}, "r");
  if (list == 0) $display("there is no %s/cases.txt", vectors);
  repeat (2) @(negedge clk);
  rst = 0;
  while (list != 0 && $fscanf(list, "%s", name) == 1) begin
    read_case({vectors, "/", name});
    if (op == wanted) run_case;
  end
  $display("%s: %0d cases, %0d results, %0d wrong", wanted, cases, checked, wrong);
  if (cases > 0 && wrong == 0) $display("PASS");
  else $display("FAIL");
  $finish;
endtask
