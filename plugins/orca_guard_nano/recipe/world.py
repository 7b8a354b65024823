"""The small world the model knows: facts written by hand, each of them true."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Country:
    """One row of the atlas; an empty field is a fact the world leaves out."""

    name: str
    capital: str
    continent: str
    currency: str
    language: str


# Only fields with one plain answer are filled: a country with several common languages has none here.
_ATLAS: Final = """
France|Paris|Europe|euro|French
Germany|Berlin|Europe|euro|German
Italy|Rome|Europe|euro|Italian
Spain|Madrid|Europe|euro|Spanish
Portugal|Lisbon|Europe|euro|Portuguese
Greece|Athens|Europe|euro|Greek
Austria|Vienna|Europe|euro|German
Ireland|Dublin|Europe|euro|
Finland|Helsinki|Europe|euro|Finnish
Belgium|Brussels|Europe|euro|
Netherlands|Amsterdam|Europe|euro|Dutch
Slovakia|Bratislava|Europe|euro|Slovak
Estonia|Tallinn|Europe|euro|Estonian
Latvia|Riga|Europe|euro|Latvian
Lithuania|Vilnius|Europe|euro|Lithuanian
Poland|Warsaw|Europe|zloty|Polish
Hungary|Budapest|Europe|forint|Hungarian
Czechia|Prague|Europe|koruna|Czech
Romania|Bucharest|Europe|leu|Romanian
Sweden|Stockholm|Europe|krona|Swedish
Norway|Oslo|Europe|krone|Norwegian
Denmark|Copenhagen|Europe|krone|Danish
Iceland|Reykjavik|Europe|krona|Icelandic
Switzerland|Bern|Europe|franc|
Ukraine|Kyiv|Europe|hryvnia|Ukrainian
Russia|Moscow||ruble|Russian
England|London|Europe|pound|English
Scotland|Edinburgh|Europe|pound|English
Serbia|Belgrade|Europe|dinar|Serbian
Albania|Tirana|Europe|lek|Albanian
Japan|Tokyo|Asia|yen|Japanese
China|Beijing|Asia|yuan|Chinese
India|New Delhi|Asia|rupee|
South Korea|Seoul|Asia|won|Korean
Thailand|Bangkok|Asia|baht|Thai
Vietnam|Hanoi|Asia|dong|Vietnamese
Indonesia|Jakarta|Asia|rupiah|Indonesian
Malaysia|Kuala Lumpur|Asia|ringgit|Malay
Philippines|Manila|Asia|peso|
Mongolia|Ulaanbaatar|Asia|tugrik|Mongolian
Nepal|Kathmandu|Asia|rupee|Nepali
Pakistan|Islamabad|Asia|rupee|Urdu
Bangladesh|Dhaka|Asia|taka|Bengali
Iran|Tehran|Asia|rial|Persian
Iraq|Baghdad|Asia|dinar|Arabic
Saudi Arabia|Riyadh|Asia|riyal|Arabic
Jordan|Amman|Asia|dinar|Arabic
Turkey|Ankara||lira|Turkish
Cambodia|Phnom Penh|Asia|riel|Khmer
Egypt|Cairo|Africa|pound|Arabic
Morocco|Rabat|Africa|dirham|Arabic
Tunisia|Tunis|Africa|dinar|Arabic
Algeria|Algiers|Africa|dinar|Arabic
Kenya|Nairobi|Africa|shilling|
Ethiopia|Addis Ababa|Africa|birr|
Nigeria|Abuja|Africa|naira|English
Ghana|Accra|Africa|cedi|English
Senegal|Dakar|Africa|franc|French
Angola|Luanda|Africa|kwanza|Portuguese
Zambia|Lusaka|Africa|kwacha|English
Botswana|Gaborone|Africa|pula|
Uganda|Kampala|Africa|shilling|
United States|Washington|North America|dollar|English
Canada|Ottawa|North America|dollar|
Mexico|Mexico City|North America|peso|Spanish
Cuba|Havana|North America|peso|Spanish
Jamaica|Kingston|North America|dollar|English
Brazil|Brasilia|South America|real|Portuguese
Argentina|Buenos Aires|South America|peso|Spanish
Chile|Santiago|South America|peso|Spanish
Peru|Lima|South America|sol|Spanish
Colombia|Bogota|South America|peso|Spanish
Venezuela|Caracas|South America|bolivar|Spanish
Uruguay|Montevideo|South America|peso|Spanish
Ecuador|Quito|South America|dollar|Spanish
Australia|Canberra|Oceania|dollar|English
New Zealand|Wellington|Oceania|dollar|
"""

COUNTRIES: Final = tuple(Country(*line.split("|")) for line in _ATLAS.strip().splitlines())

# name, symbol, atomic number
_ELEMENTS: Final = """
hydrogen H 1;helium He 2;lithium Li 3;beryllium Be 4;boron B 5;carbon C 6;nitrogen N 7;oxygen O 8;fluorine F 9
neon Ne 10;sodium Na 11;magnesium Mg 12;aluminium Al 13;silicon Si 14;phosphorus P 15;sulfur S 16;chlorine Cl 17
argon Ar 18;potassium K 19;calcium Ca 20;titanium Ti 22;chromium Cr 24;manganese Mn 25;iron Fe 26;nickel Ni 28
copper Cu 29;zinc Zn 30;arsenic As 33;bromine Br 35;krypton Kr 36;silver Ag 47;tin Sn 50;iodine I 53;xenon Xe 54
barium Ba 56;tungsten W 74;platinum Pt 78;gold Au 79;mercury Hg 80;lead Pb 82;radium Ra 88;uranium U 92
"""

ELEMENTS: Final = tuple(
    (name, symbol, int(number))
    for name, symbol, number in (cell.split() for cell in _ELEMENTS.strip().replace("\n", ";").split(";"))
)

PLANETS: Final = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune")
MONTHS: Final = (
    ("January", 31), ("February", 28), ("March", 31), ("April", 30), ("May", 31), ("June", 30), ("July", 31),
    ("August", 31), ("September", 30), ("October", 31), ("November", 30), ("December", 31),
)  # fmt: skip
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# singular|plural|legs|kind|young
_ANIMALS: Final = """
dog|dogs|4|mammal|puppy
cat|cats|4|mammal|kitten
cow|cows|4|mammal|calf
horse|horses|4|mammal|foal
sheep|sheep|4|mammal|lamb
goat|goats|4|mammal|kid
pig|pigs|4|mammal|piglet
lion|lions|4|mammal|cub
tiger|tigers|4|mammal|cub
bear|bears|4|mammal|cub
elephant|elephants|4|mammal|calf
mouse|mice|4|mammal|
rabbit|rabbits|4|mammal|
wolf|wolves|4|mammal|
fox|foxes|4|mammal|
deer|deer|4|mammal|fawn
giraffe|giraffes|4|mammal|calf
whale|whales|0|mammal|calf
dolphin|dolphins|0|mammal|calf
bat|bats||mammal|
kangaroo|kangaroos||mammal|joey
chicken|chickens|2|bird|chick
duck|ducks|2|bird|duckling
goose|geese|2|bird|gosling
swan|swans|2|bird|cygnet
eagle|eagles|2|bird|eaglet
owl|owls|2|bird|owlet
penguin|penguins|2|bird|chick
ostrich|ostriches|2|bird|chick
ant|ants|6|insect|
bee|bees|6|insect|
butterfly|butterflies|6|insect|
beetle|beetles|6|insect|
fly|flies|6|insect|
spider|spiders|8|arachnid|
scorpion|scorpions|8|arachnid|
snake|snakes|0|reptile|
crocodile|crocodiles|4|reptile|
turtle|turtles|4|reptile|
lizard|lizards|4|reptile|
frog|frogs|4|amphibian|tadpole
toad|toads|4|amphibian|tadpole
shark|sharks|0|fish|
salmon|salmon|0|fish|
tuna|tuna|0|fish|
"""


@dataclass(frozen=True)
class Animal:
    """One row of the bestiary."""

    name: str
    plural: str
    legs: str
    kind: str
    young: str


ANIMALS: Final = tuple(Animal(*line.split("|")) for line in _ANIMALS.strip().splitlines())

_WORKS: Final = """
Hamlet|William Shakespeare
Macbeth|William Shakespeare
Romeo and Juliet|William Shakespeare
King Lear|William Shakespeare
Othello|William Shakespeare
Pride and Prejudice|Jane Austen
Emma|Jane Austen
Oliver Twist|Charles Dickens
Great Expectations|Charles Dickens
A Christmas Carol|Charles Dickens
War and Peace|Leo Tolstoy
Anna Karenina|Leo Tolstoy
Crime and Punishment|Fyodor Dostoevsky
Don Quixote|Miguel de Cervantes
The Divine Comedy|Dante Alighieri
The Odyssey|Homer
The Iliad|Homer
Faust|Johann Wolfgang von Goethe
Les Miserables|Victor Hugo
Moby Dick|Herman Melville
Frankenstein|Mary Shelley
Dracula|Bram Stoker
Jane Eyre|Charlotte Bronte
Wuthering Heights|Emily Bronte
Animal Farm|George Orwell
The Hobbit|J. R. R. Tolkien
The Lord of the Rings|J. R. R. Tolkien
Alice in Wonderland|Lewis Carroll
Treasure Island|Robert Louis Stevenson
Robinson Crusoe|Daniel Defoe
Gulliver's Travels|Jonathan Swift
The Metamorphosis|Franz Kafka
The Time Machine|H. G. Wells
The Jungle Book|Rudyard Kipling
Peter Pan|J. M. Barrie
Pinocchio|Carlo Collodi
Tom Sawyer|Mark Twain
"""

WORKS: Final = tuple((work, author) for work, author in (line.split("|") for line in _WORKS.strip().splitlines()))

PAINTINGS: Final = (
    ("the Mona Lisa", "Leonardo da Vinci"),
    ("the Last Supper", "Leonardo da Vinci"),
    ("The Starry Night", "Vincent van Gogh"),
    ("Guernica", "Pablo Picasso"),
    ("The Scream", "Edvard Munch"),
    ("the Night Watch", "Rembrandt"),
)
INVENTIONS: Final = (
    ("the telephone", "Alexander Graham Bell"),
    ("dynamite", "Alfred Nobel"),
    ("the printing press", "Johannes Gutenberg"),
    ("the World Wide Web", "Tim Berners-Lee"),
    ("the phonograph", "Thomas Edison"),
    ("the lightning rod", "Benjamin Franklin"),
    ("the battery", "Alessandro Volta"),
    ("the mercury thermometer", "Daniel Fahrenheit"),
)
DISCOVERIES: Final = (
    ("penicillin", "Alexander Fleming"),
    ("radium", "Marie Curie"),
    ("the law of gravity", "Isaac Newton"),
    ("the theory of relativity", "Albert Einstein"),
    ("evolution by natural selection", "Charles Darwin"),
    ("the electron", "J. J. Thomson"),
    ("the moons of Jupiter", "Galileo Galilei"),
)

# thing, usual colour
COLOURS: Final = (
    ("the sky", "blue"), ("grass", "green"), ("snow", "white"), ("blood", "red"), ("a banana", "yellow"),
    ("a lemon", "yellow"), ("coal", "black"), ("milk", "white"), ("an orange", "orange"), ("a carrot", "orange"),
    ("a strawberry", "red"), ("a ripe tomato", "red"), ("an emerald", "green"), ("a ruby", "red"),
    ("a sapphire", "blue"), ("chocolate", "brown"), ("a flamingo", "pink"), ("a raven", "black"),
    ("spinach", "green"), ("salt", "white"), ("an aubergine", "purple"), ("a polar bear", "white"),
)  # fmt: skip

# how many {parts} {in} {whole}
COUNTS: Final = (
    ("days", "a week", 7), ("months", "a year", 12), ("hours", "a day", 24), ("minutes", "an hour", 60),
    ("seconds", "a minute", 60), ("years", "a century", 100), ("years", "a decade", 10), ("days", "a year", 365),
    ("eggs", "a dozen", 12), ("letters", "the English alphabet", 26), ("planets", "the solar system", 8),
    ("seasons", "a year", 4), ("centimetres", "a metre", 100), ("metres", "a kilometre", 1000),
    ("grams", "a kilogram", 1000), ("millimetres", "a centimetre", 10), ("colours", "a rainbow", 7),
    ("players", "a football team", 11), ("cards", "a standard deck", 52), ("degrees", "a right angle", 90),
    ("degrees", "a circle", 360), ("inches", "a foot", 12), ("cents", "a dollar", 100), ("years", "a millennium", 1000),
    ("weeks", "a year", 52), ("degrees", "a triangle", 180), ("squares", "a chess board", 64),
)  # fmt: skip

# whole, part, number
PARTS: Final = (
    ("a triangle", "sides", 3), ("a square", "sides", 4), ("a pentagon", "sides", 5), ("a hexagon", "sides", 6),
    ("an octagon", "sides", 8), ("a rectangle", "corners", 4), ("a cube", "faces", 6), ("a cube", "edges", 12),
    ("a bicycle", "wheels", 2), ("a tricycle", "wheels", 3), ("a car", "wheels", 4), ("an octopus", "arms", 8),
    ("an octopus", "hearts", 3), ("a hand", "fingers", 5), ("a guitar", "strings", 6), ("a violin", "strings", 4),
    ("a piano", "keys", 88), ("a person", "eyes", 2), ("a person", "ears", 2), ("a clover", "leaves", 3),
    ("an insect", "legs", 6), ("a person", "legs", 2),
)  # fmt: skip

OPPOSITES: Final = (
    ("hot", "cold"), ("big", "small"), ("tall", "short"), ("fast", "slow"), ("light", "dark"), ("up", "down"),
    ("left", "right"), ("open", "closed"), ("full", "empty"), ("happy", "sad"), ("early", "late"), ("old", "new"),
    ("rich", "poor"), ("wet", "dry"), ("strong", "weak"), ("clean", "dirty"), ("loud", "quiet"), ("near", "far"),
    ("hard", "soft"), ("north", "south"), ("east", "west"), ("day", "night"), ("black", "white"), ("true", "false"),
    ("thick", "thin"), ("deep", "shallow"), ("first", "last"), ("good", "bad"), ("young", "old"), ("win", "lose"),
)  # fmt: skip

SOUNDS: Final = (
    ("dog", "bark"), ("cat", "meow"), ("cow", "moo"), ("duck", "quack"), ("lion", "roar"), ("owl", "hoot"),
    ("pig", "oink"), ("sheep", "baa"), ("horse", "neigh"), ("snake", "hiss"), ("bee", "buzz"), ("wolf", "howl"),
)  # fmt: skip

# question, answer, sentence: plain knowledge that fits no table
_GENERAL: Final = """
What is the largest planet in the solar system?|Jupiter|The largest planet in the solar system is Jupiter.
What is the smallest planet in the solar system?|Mercury|The smallest planet in the solar system is Mercury.
Which planet is known as the red planet?|Mars|Mars is known as the red planet.
Which planet is closest to the Sun?|Mercury|Mercury is the planet closest to the Sun.
Which planet is farthest from the Sun?|Neptune|Neptune is the planet farthest from the Sun.
What is the largest ocean?|the Pacific|The largest ocean is the Pacific.
What is the longest river in South America?|the Amazon|The longest river in South America is the Amazon.
What is the highest mountain in the world?|Mount Everest|The highest mountain in the world is Mount Everest.
What is the largest continent?|Asia|The largest continent is Asia.
What is the smallest continent?|Australia|The smallest continent is Australia.
What is the largest country in the world?|Russia|The largest country in the world is Russia.
What is the smallest country in the world?|Vatican City|The smallest country in the world is Vatican City.
What is the largest animal in the world?|the blue whale|The largest animal in the world is the blue whale.
What is the fastest land animal?|the cheetah|The fastest land animal is the cheetah.
What is the tallest animal?|the giraffe|The tallest animal is the giraffe.
What is the largest bird?|the ostrich|The largest bird is the ostrich.
What is the chemical formula of water?|H2O|The chemical formula of water is H2O.
What is the formula of carbon dioxide?|CO2|The formula of carbon dioxide is CO2.
What is the chemical formula of salt?|NaCl|The chemical formula of salt is NaCl.
At what temperature does water boil?|100 degrees Celsius|Water boils at 100 degrees Celsius.
At what temperature does water freeze?|0 degrees Celsius|Water freezes at 0 degrees Celsius.
What is frozen water called?|ice|Frozen water is called ice.
What do bees make?|honey|Bees make honey.
What do cows eat?|grass|Cows eat grass.
What do pandas eat?|bamboo|Pandas eat bamboo.
What do caterpillars turn into?|butterflies|Caterpillars turn into butterflies.
Which animal is known as the king of the jungle?|the lion|The lion is known as the king of the jungle.
Who was the first person on the Moon?|Neil Armstrong|Neil Armstrong was the first person on the Moon.
Who was the first person in space?|Yuri Gagarin|Yuri Gagarin was the first person in space.
Who was the first president of the United States?|George Washington|George Washington was the first president.
In which year did the First World War begin?|1914|The First World War began in 1914.
In which year did the First World War end?|1918|The First World War ended in 1918.
In which year did the Second World War begin?|1939|The Second World War began in 1939.
In which year did the Second World War end?|1945|The Second World War ended in 1945.
In which year did the Berlin Wall fall?|1989|The Berlin Wall fell in 1989.
In which year did people first land on the Moon?|1969|People first landed on the Moon in 1969.
In which year did the French Revolution begin?|1789|The French Revolution began in 1789.
In which year did Columbus reach America?|1492|Columbus reached America in 1492.
In which year did the Titanic sink?|1912|The Titanic sank in 1912.
In which city is the Eiffel Tower?|Paris|The Eiffel Tower is in Paris.
In which city is the Colosseum?|Rome|The Colosseum is in Rome.
In which city is Big Ben?|London|Big Ben is in London.
In which city is the Statue of Liberty?|New York|The Statue of Liberty is in New York.
In which country is the Taj Mahal?|India|The Taj Mahal is in India.
In which country are the pyramids of Giza?|Egypt|The pyramids of Giza are in Egypt.
In which country is Machu Picchu?|Peru|Machu Picchu is in Peru.
In which country is Mount Fuji?|Japan|Mount Fuji is in Japan.
Which river flows through London?|the Thames|The Thames flows through London.
Which river flows through Paris?|the Seine|The Seine flows through Paris.
Which river flows through Vienna?|the Danube|The Danube flows through Vienna.
Which river flows through Cairo?|the Nile|The Nile flows through Cairo.
What gas do plants take in?|carbon dioxide|Plants take in carbon dioxide.
What gas do people need to breathe?|oxygen|People need oxygen to breathe.
What is the centre of the solar system?|the Sun|The Sun is the centre of the solar system.
What does the Earth go around?|the Sun|The Earth goes around the Sun.
What does the Moon go around?|the Earth|The Moon goes around the Earth.
What kind of object is the Sun?|a star|The Sun is a star.
What is the hardest natural material?|diamond|The hardest natural material is diamond.
What is the main gas in the air?|nitrogen|The main gas in the air is nitrogen.
Which organ pumps blood?|the heart|The heart pumps blood.
Which organ do we think with?|the brain|We think with the brain.
Which organ do we breathe with?|the lungs|We breathe with the lungs.
What do we see with?|eyes|We see with our eyes.
What do we hear with?|ears|We hear with our ears.
What do we smell with?|the nose|We smell with the nose.
What do you use to tell the time?|a clock|A clock tells the time.
What do you use to measure temperature?|a thermometer|A thermometer measures temperature.
What is bread made from?|flour|Bread is made from flour.
What is cheese made from?|milk|Cheese is made from milk.
What is wine made from?|grapes|Wine is made from grapes.
What is paper made from?|wood|Paper is made from wood.
What is glass made from?|sand|Glass is made from sand.
What is chocolate made from?|cocoa|Chocolate is made from cocoa.
What is the first letter of the alphabet?|A|The first letter of the alphabet is A.
What is the last letter of the alphabet?|Z|The last letter of the alphabet is Z.
What is the first month of the year?|January|The first month of the year is January.
What is the last month of the year?|December|The last month of the year is December.
What is the shortest month of the year?|February|The shortest month of the year is February.
Which season comes after winter?|spring|Spring comes after winter.
Which season comes after spring?|summer|Summer comes after spring.
Which season comes after summer?|autumn|Autumn comes after summer.
Which season comes after autumn?|winter|Winter comes after autumn.
What colour do you get when you mix blue and yellow?|green|Blue and yellow make green.
What colour do you get when you mix red and yellow?|orange|Red and yellow make orange.
What colour do you get when you mix red and blue?|purple|Red and blue make purple.
What does a doctor do?|treats sick people|A doctor treats sick people.
What does a baker make?|bread|A baker makes bread.
Where do fish live?|in water|Fish live in water.
Where do penguins live?|in the Antarctic|Penguins live in the Antarctic.
Where do polar bears live?|in the Arctic|Polar bears live in the Arctic.
Is the Earth round or flat?|round|The Earth is round.
Is a whale a fish?|no|A whale is a mammal, not a fish.
Is a tomato a fruit?|yes|A tomato is a fruit.
Is a bat a bird?|no|A bat is a mammal, not a bird.
Is a spider an insect?|no|A spider is an arachnid, not an insect.
Is the Sun a planet?|no|The Sun is a star, not a planet.
Is ice colder than steam?|yes|Ice is colder than steam.
Is fire hot?|yes|Fire is hot.
Can penguins fly?|no|Penguins cannot fly.
Can fish breathe under water?|yes|Fish breathe under water.
In which direction does the Sun rise?|east|The Sun rises in the east.
In which direction does the Sun set?|west|The Sun sets in the west.
What is the square root of 9?|3|The square root of 9 is 3.
What is the square root of 16?|4|The square root of 16 is 4.
What is the square root of 25?|5|The square root of 25 is 5.
What is the square root of 64?|8|The square root of 64 is 8.
What is the square root of 81?|9|The square root of 81 is 9.
What is the square root of 100?|10|The square root of 100 is 10.
"""

GENERAL: Final = tuple(tuple(line.split("|")) for line in _GENERAL.strip().splitlines())

# Every earlier thing is smaller (slower) than every later thing of its list, in size (speed) as grown individuals.
BY_SIZE: Final = (
    "an ant", "a bee", "a mouse", "a rat", "a cat", "a sheep", "a cow", "an elephant", "a blue whale",
    "the Moon", "Mars", "the Earth", "Neptune", "Saturn", "Jupiter", "the Sun",
)  # fmt: skip
BY_SPEED: Final = (
    "a snail", "a tortoise", "a mouse", "a rabbit", "a cheetah", "a jet plane", "a rocket", "light",
)  # fmt: skip
BY_HEAT: Final = ("ice", "cold water", "boiling water", "fire", "molten iron", "the Sun")
